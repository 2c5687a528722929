"""`python -m costs`."""

from costs.cli import app
from terminal.program import called

app(prog_name=called("costs", command="bill"))
