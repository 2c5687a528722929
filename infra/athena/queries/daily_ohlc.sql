-- Open, high, low and close of each symbol and day (UTC), and the volume traded within that day, from the quotes that arrived in the last seven days.
WITH prices AS (
  SELECT
    symbol,
    CAST(event_time AS date) AS day,
    min_by(price, ROW(event_time, revision)) AS open,
    max(price) AS high,
    min(price) AS low,
    max_by(price, ROW(event_time, revision)) AS close,
    -- A volume of the last 24 hours is no day's.
    count(CASE WHEN volume_period IS NULL THEN volume END) AS volumes,
    count(*) AS quotes
  FROM recent_quotes
  GROUP BY symbol, CAST(event_time AS date)
),
followed AS (
  SELECT
    symbol,
    event_time,
    revision,
    volume,
    coalesce(market_state, 'REGULAR') = 'REGULAR' AS is_regular,
    previous_close,
    lag(event_time) OVER (PARTITION BY symbol ORDER BY event_time, revision) AS last_time,
    lag(previous_close) OVER (PARTITION BY symbol ORDER BY event_time, revision) AS last_close,
    lag(volume) OVER (PARTITION BY symbol ORDER BY event_time, revision) AS last_volume,
    lead(event_time) OVER (PARTITION BY symbol ORDER BY event_time, revision) AS next_time,
    lead(previous_close) OVER (PARTITION BY symbol ORDER BY event_time, revision) AS next_close,
    lead(volume) OVER (PARTITION BY symbol ORDER BY event_time, revision) AS next_volume
  FROM recent_quotes
  -- Before the open, the source still gives the volume of the last session. Zero means that it does not know it.
  WHERE volume > 0 AND volume_period IS NULL AND coalesce(market_state, '') NOT IN ('PRE', 'PREPRE')
),
started AS (
  -- The volume starts from zero in each session, which may cross midnight. The rule is that of the bars, in short.
  SELECT
    symbol,
    event_time,
    revision,
    volume,
    CASE
      WHEN
        date_diff('minute', last_time, event_time) > 360
        AND is_regular
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
    END AS starts
  FROM followed
  -- Within a day, the volume only rises until it falls or the previous close changes. So only the quotes on both sides of
  -- such a change count, and all windows below are small.
  WHERE
    last_time IS NULL
    OR next_time IS NULL
    OR volume < last_volume
    OR next_volume < volume
    OR previous_close IS DISTINCT FROM last_close
    OR next_close IS DISTINCT FROM previous_close
    OR CAST(next_time AS date) <> CAST(event_time AS date)
),
numbered AS (
  SELECT
    symbol,
    event_time,
    revision,
    volume,
    sum(starts) OVER (PARTITION BY symbol ORDER BY event_time, revision) AS session
  FROM started
),
judged AS (
  SELECT
    *,
    max(volume) OVER (PARTITION BY symbol, session ORDER BY event_time, revision) AS highest
  FROM numbered
),
steps AS (
  -- A volume below half of what the session had is a wrong answer. A smaller fall is a correction, which stays.
  SELECT
    symbol,
    event_time,
    volume - coalesce(lag(volume) OVER (PARTITION BY symbol, session ORDER BY event_time, revision), 0) AS traded
  FROM judged
  WHERE volume >= 0.5e0 * highest
),
volumes AS (
  SELECT symbol, CAST(event_time AS date) AS day, sum(traded) AS traded
  FROM steps
  GROUP BY symbol, CAST(event_time AS date)
)
SELECT
  prices.symbol,
  prices.day,
  prices.open,
  prices.high,
  prices.low,
  prices.close,
  -- A session that was under way at its first quote counts from its beginning.
  CASE WHEN prices.volumes > 0 THEN CAST(greatest(coalesce(volumes.traded, 0), 0) AS bigint) END AS volume,
  prices.quotes
FROM prices
LEFT JOIN volumes ON volumes.symbol = prices.symbol AND volumes.day = prices.day
ORDER BY prices.day DESC, prices.symbol
