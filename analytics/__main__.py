"""`python -m analytics`."""

from analytics.cli import app

app(prog_name="python -m analytics")
