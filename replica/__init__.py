"""Runs the whole pipeline on one machine: an emulator, the deployed templates, the event source and the demo.

`python -m replica demo` starts it. `pipeline` wires the parts, `event_source` delivers the stream to the function as
Lambda does, and `audit` compares what was stored with what the producer accepted.
"""
