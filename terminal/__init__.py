"""Texts on their way to people. The programs print through `printable`, which makes texts of outsiders harmless."""

from terminal.text import ascii_json, printable, printable_lines

__all__ = ["ascii_json", "printable", "printable_lines"]
