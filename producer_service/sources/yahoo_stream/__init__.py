"""Yahoo's stream of prices as a source, with polls beside it."""
