"""`python -m deployment`."""

from deployment.cli import app
from terminal.program import called

app(prog_name=called("deployment"))
