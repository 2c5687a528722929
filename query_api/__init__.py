"""The query function: a read-only HTTP API over the tables and the lanes' states. docs/api.md describes it."""
