"""A local Yahoo Finance: what yfinance needs of Yahoo, served on this machine with generated prices.

It has no data of Yahoo's and needs no network. yfinance reaches it through environment variables alone, as an HTTPS
proxy whose certificate authority it trusts:

    python -m tests.fakes.yahoo

prints the variables. It uses the standard library, msgspec and websockets (which come with the producer), and the
`openssl` command for its certificates. It imports nothing else of this repository, so that a container can run it from
a mounted folder.

| module | content |
|---|---|
| `clock` | a clock that can be set, stopped and sped up |
| `markets`, `sessions` | exchanges with their currencies, delays and hours; their sessions, and their state at a time |
| `instruments` | which symbols exist, and what each one is |
| `prices`, `tapes` | the price of an instrument at a time, and the trades of a session |
| `quotes`, `fundamentals` | bodies of the v7 quote endpoint |
| `charts` | bodies of the v8 chart endpoint |
| `corporate_actions` | the splits and dividends that charts declare |
| `recordings`, `chart_faults` | minutes that charts show instead of generated ones, and what is wrong with their rows |
| `pricing_data`, `streaming` | messages of the streaming endpoint, and its connections |
| `cookies` | cookies, crumbs and the consent pages |
| `faults` | rules that make it fail on purpose |
| `messages`, `site`, `control`, `server` | HTTP messages, hosts and paths, control endpoints, and the server itself |
| `certificates` | its certificate authority |
| `local_yahoo` | starts it for a test, and controls it |
"""
