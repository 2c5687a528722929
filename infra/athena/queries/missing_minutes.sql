-- The days of the last thirty on which one-minute bars are missing, the most incomplete first.
SELECT
  symbol,
  day,
  calendar,
  opens,
  closes,
  expected,
  stored,
  stream,
  backfill,
  rebuild,
  without_trades,
  missing
FROM coverage
WHERE missing > 0 AND day >= CAST(current_date - INTERVAL '30' DAY AS date)
ORDER BY missing DESC, symbol, day DESC
