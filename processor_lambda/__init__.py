"""The stream function: turns Kinesis batches into rows, bars, an archive, alerts and a quarantine, exactly once."""
