"""The producer: a daemon that polls sources for quotes and delivers them to Kinesis, in order and without loss."""
