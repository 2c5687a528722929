"""`python -m costs`."""

from costs.cli import app

app(prog_name="python -m costs")
