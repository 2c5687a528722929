-- How complete the one-minute bars of each symbol and day of its exchange are: expected minutes of the sessions, stored ones by provenance, those without trades, and missing ones.
WITH split_sessions AS (
  -- A session that crosses midnight has bars of two days (UTC). The days let the join read only some bars.
  SELECT *, CAST(opens AS date) AS bars_of
  FROM sessions
  UNION ALL
  SELECT *, CAST(closes AS date) AS bars_of
  FROM sessions
  WHERE CAST(closes AS date) > CAST(opens AS date)
),
found AS (
  SELECT
    split_sessions.symbol,
    split_sessions.opens,
    count(*) AS stored,
    count_if(bars.provenance = 'stream') AS stream,
    count_if(bars.provenance = 'backfill') AS backfill,
    count_if(bars.provenance = 'rebuild') AS rebuild
  FROM split_sessions
  JOIN bars
    ON bars.symbol = split_sessions.symbol
    AND bars.day = split_sessions.bars_of
    AND bars.start >= split_sessions.opens
    AND bars.start < split_sessions.closes
  WHERE bars.resolution = '1m'
  GROUP BY split_sessions.symbol, split_sessions.opens
)
SELECT
  sessions.symbol,
  sessions.day,
  max(sessions.calendar) AS calendar,
  min(sessions.opens) AS opens,
  max(sessions.closes) AS closes,
  CAST(sum(sessions.expected) AS bigint) AS expected,
  CAST(sum(coalesce(found.stored, 0)) AS bigint) AS stored,
  CAST(sum(coalesce(found.stream, 0)) AS bigint) AS stream,
  CAST(sum(coalesce(found.backfill, 0)) AS bigint) AS backfill,
  CAST(sum(coalesce(found.rebuild, 0)) AS bigint) AS rebuild,
  CAST(sum(sessions.without_trades) AS bigint) AS without_trades,
  CAST(
    sum(greatest(sessions.expected - coalesce(found.stored, 0) - sessions.without_trades, 0)) AS bigint
  ) AS missing
FROM sessions
LEFT JOIN found ON found.symbol = sessions.symbol AND found.opens = sessions.opens
GROUP BY sessions.symbol, sessions.day
