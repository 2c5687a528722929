"""Requests to Yahoo: session, cookie and crumb, limiter, breaker and charts.

The producer and the backfill share it, because Yahoo counts the requests of both together.
"""

SOURCE = "yahoo"
"""The name of the source in quotes, corporate actions and bars."""
