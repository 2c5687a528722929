-- Open, high, low and close of each symbol and day (UTC), from the quotes that arrived in the last seven days.
SELECT
  symbol,
  CAST(event_time AS date) AS day,
  min_by(price, ROW(event_time, revision)) AS open,
  max(price) AS high,
  min(price) AS low,
  max_by(price, ROW(event_time, revision)) AS close,
  max(volume) AS volume,
  count(*) AS quotes
FROM recent_quotes
GROUP BY symbol, CAST(event_time AS date)
ORDER BY day DESC, symbol
