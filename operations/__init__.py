"""The operator's commands: quarantine, redrive, rebuild, and the metrics exporter.

They work on AWS and on any emulator of it. `python -m operations --help` describes them.
"""
