-- Minutes without a quote of a symbol, within one day (UTC), or across midnight in gaps of less than four hours.
WITH minutes AS (
  SELECT DISTINCT symbol, date_trunc('minute', event_time) AS minute
  FROM recent_quotes
),
silences AS (
  SELECT
    symbol,
    minute AS last_minute,
    lead(minute) OVER (PARTITION BY symbol ORDER BY minute) AS next_minute
  FROM minutes
)
SELECT
  symbol,
  last_minute + INTERVAL '1' MINUTE AS gap_from,
  next_minute AS gap_to,
  date_diff('minute', last_minute, next_minute) - 1 AS minutes
FROM silences
WHERE
  date_diff('minute', last_minute, next_minute) > 1
  AND (
    CAST(last_minute AS date) = CAST(next_minute AS date)
    OR date_diff('minute', last_minute, next_minute) <= 240
  )
ORDER BY minutes DESC, symbol, gap_from
