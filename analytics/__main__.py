"""`python -m analytics`."""

from analytics.cli import app
from terminal.program import called

app(prog_name=called("analytics"))
