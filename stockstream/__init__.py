"""The one command: `stockstream demo`, `stockstream sql`, `stockstream deploy` and so on.

It is a front of the other packages' command lines, and loads only the one that a command needs. `catalog` lists the
commands, and `cli` finds and runs the program of a command.
"""
