"""What the pipeline costs on AWS: prices, sizes, expected usage, and the metering of real calls.

`prices` reads dated list prices. `sizes` measures how large a quote is in each place, by running the pipeline's own
code. `expected_usage` counts what a setup will use, and `metering` what real calls used. `bill` prices either.
`python -m costs --help` describes the command.
"""
