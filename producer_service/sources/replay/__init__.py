"""Recorded quotes as a source: minute bars and archived JSON Lines."""
