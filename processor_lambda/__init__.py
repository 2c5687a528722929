"""The Lambda: Kinesis batches in; rows, bars, archive, alerts and quarantine out, each quote's effect exactly once."""
