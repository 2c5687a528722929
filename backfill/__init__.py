"""Fills the gaps of stored bars from Yahoo's history: it plans what is missing, requests it, and stores it once."""
