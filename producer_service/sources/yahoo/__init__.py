"""Yahoo Finance as a source, through yfinance."""
