"""The bars of symbols: keys, lengths, provenance, sessions and coverage. The functions and the commands share them.

Pure, and it depends on msgspec alone.
"""
