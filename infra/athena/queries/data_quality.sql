-- Duplicate, late, revised and refused lines of each day of arrival, missing fields, and seconds from event to receipt.
WITH days AS (
  SELECT dt, quote_lines, quarantined
  FROM arrival_days
  WHERE dt >= CAST(CAST(current_date - INTERVAL '7' DAY AS date) AS varchar)
),
received AS (
  SELECT
    *,
    date_diff('millisecond', event_time, ingest_time) / 1e3 AS delay_seconds,
    max(event_time) OVER (
      PARTITION BY symbol
      ORDER BY ingest_time, event_time, revision
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS newest
  FROM recent_quotes
),
once AS (
  SELECT
    dt,
    count(*) AS quotes,
    count_if(event_time < newest) AS late,
    count_if(revision > 0) AS revised,
    count_if(open IS NULL OR high IS NULL OR low IS NULL) AS without_day_prices,
    count_if(previous_close IS NULL) AS without_previous_close,
    count_if(volume IS NULL) AS without_volume,
    approx_percentile(delay_seconds, 0.5) AS delay_p50,
    approx_percentile(delay_seconds, 0.99) AS delay_p99,
    max(delay_seconds) AS delay_max
  FROM received
  GROUP BY dt
)
SELECT
  days.dt,
  coalesce(once.quotes, 0) AS quotes,
  days.quote_lines - coalesce(once.quotes, 0) AS duplicates,
  coalesce(once.late, 0) AS late,
  coalesce(once.revised, 0) AS revised,
  days.quarantined,
  coalesce(once.without_day_prices, 0) AS without_day_prices,
  coalesce(once.without_previous_close, 0) AS without_previous_close,
  coalesce(once.without_volume, 0) AS without_volume,
  once.delay_p50,
  once.delay_p99,
  once.delay_max
FROM days
LEFT JOIN once ON once.dt = days.dt
ORDER BY days.dt DESC
