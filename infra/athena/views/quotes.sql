-- Every quote once: the last arrival of each symbol, event time and revision. Every query reads the whole archive.
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
  source_time,
  volume_period,
  provenance,
  source,
  ingest_time,
  dt,
  hour
FROM (
  SELECT
    *,
    row_number() OVER (
      PARTITION BY symbol, event_time, revision
      -- The names of objects contain sequence numbers, of which the longer one is the larger one.
      ORDER BY dt DESC, hour DESC, length(object) DESC, object DESC, ingest_time DESC
    ) AS copy
  FROM quote_lines
)
WHERE copy = 1
