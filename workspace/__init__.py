"""The files that the programs on one machine share: where they are, and the records of the demos.

It depends on msgspec alone.
"""
