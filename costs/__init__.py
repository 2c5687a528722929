"""What the pipeline costs on AWS: prices, sizes, expected usage, and the metering of real calls.

`prices` are dated list prices. `sizes` measures what one quote is, by running the pipeline's own code. `expected_usage`
counts what a setup will use, `metering` counts what real calls used, and `bill` prices either. `python -m costs --help`
describes the command.
"""
