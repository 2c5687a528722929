"""`python -m replica`."""

from replica.cli import app

app(prog_name="python -m replica")
