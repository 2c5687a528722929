"""Makes one sorted Iceberg table of the many objects of the archive, and reads it back for exports."""
