-- The sessions of each symbol on closed days, with the minutes that start in each, and those without trades. A day with a lunch break has two.
SELECT
  symbol,
  calendar,
  timezone,
  day,
  opens,
  closes,
  expected,
  without_trades
FROM compacted_sessions
WHERE day < DATE '1970-01-01' AND expected > 0
