-- The sessions of each symbol on closed days, with the minutes that start in each, and those without trades. A day with a lunch break has two. Empty until the first compaction.
SELECT
  CAST(NULL AS varchar) AS symbol,
  CAST(NULL AS varchar) AS calendar,
  CAST(NULL AS varchar) AS timezone,
  CAST(NULL AS date) AS day,
  CAST(NULL AS timestamp(6)) AS opens,
  CAST(NULL AS timestamp(6)) AS closes,
  CAST(NULL AS bigint) AS expected,
  CAST(NULL AS bigint) AS without_trades
WHERE FALSE
