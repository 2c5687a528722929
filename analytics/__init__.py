"""SQL over the archive: Athena's table, views and saved queries, and the same SQL on this machine with DuckDB.

The SQL is in infra/athena. `catalog` reads it, `templates` writes the CloudFormation templates of the views and queries
from it, and `duckdb_engine` runs it over an archive on this machine. `python -m analytics --help` lists the commands.
"""
