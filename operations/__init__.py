"""The operator's commands, on AWS and on any emulator of it: `python -m operations --help`."""
