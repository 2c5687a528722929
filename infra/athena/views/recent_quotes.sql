-- Every quote that arrived within the last seven days, once. Reads those days alone.
SELECT
  symbol,
  event_time,
  revision,
  price,
  open,
  high,
  low,
  previous_close,
  volume,
  currency,
  exchange,
  market_state,
  delay_minutes,
  source,
  ingest_time,
  dt,
  hour
FROM (
  SELECT
    *,
    row_number() OVER (
      PARTITION BY symbol, event_time, revision
      -- Objects bear the sequence numbers of their records, which sort by length, then text.
      ORDER BY dt DESC, hour DESC, length(object) DESC, object DESC, ingest_time DESC
    ) AS copy
  FROM quote_lines
  WHERE dt >= CAST(CAST(current_date - INTERVAL '7' DAY AS date) AS varchar)
)
WHERE copy = 1
