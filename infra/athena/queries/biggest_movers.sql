-- The twenty symbols whose last price is furthest from the previous close, in percent.
WITH latest AS (
  SELECT
    symbol,
    max(event_time) AS event_time,
    max_by(price, ROW(event_time, revision)) AS price,
    max_by(previous_close, ROW(event_time, revision)) AS previous_close
  FROM recent_quotes
  WHERE previous_close <> 0
  GROUP BY symbol
),
moved AS (
  SELECT
    *,
    -- In double, because a percentage may have more digits than a decimal holds. A rise from below zero is a rise.
    100e0 * (CAST(price AS double) - CAST(previous_close AS double)) / abs(CAST(previous_close AS double))
      AS change_percent
  FROM latest
)
SELECT symbol, event_time, previous_close, price, round(change_percent, 2) AS change_percent
FROM moved
ORDER BY abs(change_percent) DESC, symbol
LIMIT 20
