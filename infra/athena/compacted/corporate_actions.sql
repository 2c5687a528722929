-- Every split and dividend once: the last arrival of each symbol, kind and time. A split makes `numerator` new shares of `denominator` old ones. What arrived on closed days comes from the compacted table.
WITH arrived AS (
  SELECT
    symbol,
    action,
    event_time,
    numerator,
    denominator,
    amount,
    currency,
    source,
    ingest_time,
    dt,
    hour,
    '' AS object
  FROM compacted_actions
  UNION ALL
  SELECT
    symbol,
    action,
    CAST(from_iso8601_timestamp(event_time) AS timestamp(6)) AS event_time,
    numerator,
    denominator,
    CAST(amount AS decimal(38,26)) AS amount,
    currency,
    source,
    CAST(from_iso8601_timestamp(ingest_time) AS timestamp(6)) AS ingest_time,
    dt,
    hour,
    "$path" AS object
  FROM lines
  WHERE kind = 'action' AND dt >= CAST(DATE '1970-01-01' AS varchar)
)
SELECT
  symbol,
  action,
  event_time,
  numerator,
  denominator,
  amount,
  currency,
  source,
  ingest_time,
  dt,
  hour
FROM (
  SELECT
    *,
    row_number() OVER (
      PARTITION BY symbol, action, event_time
      -- The names of objects contain sequence numbers, of which the longer one is the larger one.
      ORDER BY dt DESC, hour DESC, length(object) DESC, object DESC, ingest_time DESC
    ) AS copy
  FROM arrived
)
WHERE copy = 1
