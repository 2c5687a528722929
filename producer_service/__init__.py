"""The daemon: polls a source of quotes and delivers them to Kinesis, in order and without loss."""
