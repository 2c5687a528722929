"""Makes sorted Iceberg tables of the many objects of the archive, and reads them back for exports.

`analytics.compacted_tables` declares the tables, and `analytics.current` is the object by which readers without a
catalog find their files. `job` is the daily run. It reads lines by `line_columns`, sorts them on disk by `staging`,
writes Parquet by `parquet_files`, and commits by `iceberg`. pyarrow, pyiceberg and duckdb are large, so only the
operations image has them, and the commands import these modules when they run.
"""
