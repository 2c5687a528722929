-- Duplicate, late, revised and refused lines of each day of arrival, missing fields, and seconds from event to receipt.
WITH days AS (
  SELECT dt, quote_lines, quarantined
  FROM arrival_days
  WHERE dt >= CAST(CAST(current_date - INTERVAL '7' DAY AS date) AS varchar)
),
judged AS (
  -- Only what is counted goes through the window, which puts all quotes of a symbol in order.
  SELECT
    dt,
    symbol,
    event_time,
    ingest_time,
    revision > 0 AS is_revised,
    open IS NULL OR high IS NULL OR low IS NULL AS lacks_day_prices,
    previous_close IS NULL AS lacks_previous_close,
    volume IS NULL AS lacks_volume
  FROM recent_quotes
),
received AS (
  SELECT
    *,
    date_diff('millisecond', event_time, ingest_time) / 1e3 AS delay_seconds,
    -- A quote is late if a later one of its symbol was received before it.
    max(event_time) OVER (
      PARTITION BY symbol
      ORDER BY ingest_time, event_time
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS newest
  FROM judged
),
once AS (
  SELECT
    dt,
    count(*) AS quotes,
    count_if(event_time < newest) AS late,
    count_if(is_revised) AS revised,
    count_if(lacks_day_prices) AS without_day_prices,
    count_if(lacks_previous_close) AS without_previous_close,
    count_if(lacks_volume) AS without_volume,
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
