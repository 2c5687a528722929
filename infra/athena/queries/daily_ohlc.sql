-- Open, high, low and close of each symbol and day (UTC), and the volume traded within that day, from the quotes that arrived in the last seven days.
WITH listed AS (
  SELECT
    symbol,
    event_time,
    revision,
    price,
    previous_close,
    market_state,
    -- A volume of the last 24 hours is no day's.
    CASE WHEN volume_period IS NULL THEN volume END AS volume,
    -- Before the open, the source still gives the volume of the last session. Zero means that it does not know it.
    coalesce(volume > 0 AND volume_period IS NULL AND coalesce(market_state, '') NOT IN ('PRE', 'PREPRE'), FALSE)
      AS is_counter
  FROM recent_quotes
),
followed AS (
  SELECT
    *,
    lag(event_time) OVER (PARTITION BY symbol, is_counter ORDER BY event_time, revision) AS last_time,
    lag(previous_close) OVER (PARTITION BY symbol, is_counter ORDER BY event_time, revision) AS last_close,
    lag(volume) OVER (PARTITION BY symbol, is_counter ORDER BY event_time, revision) AS last_volume
  FROM listed
),
numbered AS (
  -- The volume starts from zero in each session, which may cross midnight. The rule is that of the bars, in short.
  SELECT
    *,
    sum(
      CASE
        WHEN
          date_diff('minute', last_time, event_time) > 360
          AND coalesce(market_state, 'REGULAR') = 'REGULAR'
          AND (volume < last_volume OR previous_close <> last_close)
        THEN 1
        WHEN
          volume < 0.5e0 * last_volume
          AND (
            previous_close <> last_close
            OR (previous_close IS NULL AND last_close IS NULL AND CAST(event_time AS date) <> CAST(last_time AS date))
          )
        THEN 1
        ELSE 0
      END
    ) OVER (PARTITION BY symbol, is_counter ORDER BY event_time, revision) AS session
  FROM followed
),
judged AS (
  -- A volume below half of what the session had is a wrong answer. A smaller fall is a correction, which stays.
  SELECT
    *,
    is_counter
    AND volume >= 0.5e0 * max(volume) OVER (PARTITION BY symbol, is_counter, session ORDER BY event_time, revision)
      AS is_kept
  FROM numbered
),
steps AS (
  SELECT
    *,
    CASE
      WHEN is_kept THEN volume - coalesce(
        lag(volume) OVER (PARTITION BY symbol, is_kept, session ORDER BY event_time, revision), 0
      )
    END AS traded
  FROM judged
)
SELECT
  symbol,
  CAST(event_time AS date) AS day,
  min_by(price, ROW(event_time, revision)) AS open,
  max(price) AS high,
  min(price) AS low,
  max_by(price, ROW(event_time, revision)) AS close,
  -- A session that was under way at its first quote counts from its beginning.
  CASE WHEN count(volume) > 0 THEN CAST(greatest(coalesce(sum(traded), 0), 0) AS bigint) END AS volume,
  count(*) AS quotes
FROM steps
GROUP BY symbol, CAST(event_time AS date)
ORDER BY day DESC, symbol
