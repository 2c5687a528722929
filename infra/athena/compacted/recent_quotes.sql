-- Every quote that arrived within the last seven days, once. Closed days come from the compacted table.
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
FROM quotes
WHERE dt >= CAST(CAST(current_date - INTERVAL '7' DAY AS date) AS varchar)
