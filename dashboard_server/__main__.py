"""`python -m dashboard_server`."""

from dashboard_server.cli import app
from terminal.program import called

app(prog_name=called("dashboard_server", command="dashboard"))
