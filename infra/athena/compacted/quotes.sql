-- Every quote once: the last arrival of each symbol, event time and revision. Closed days come from the compacted table, and only later ones from the raw archive.
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
FROM compacted_quotes
WHERE day < DATE '1970-01-01'
UNION ALL
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
  WHERE
    event_time >= DATE '1970-01-01'
    -- A quote may be up to a minute ahead of its arrival, so those of a day may arrive in the hour before it.
    AND dt >= CAST(CAST(DATE '1970-01-01' - INTERVAL '1' DAY AS date) AS varchar)
    AND (dt >= CAST(DATE '1970-01-01' AS varchar) OR hour = 23)
)
WHERE copy = 1
