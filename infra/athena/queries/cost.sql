-- What the quotes and batches of each day of arrival cost on demand, in dollars. Costs by the hour are not included.
WITH prices AS (
  SELECT
    0.014e0 AS kinesis_million_units,
    0.625e0 AS dynamodb_million_writes,
    5e0 AS s3_million_puts,
    0.2e0 AS lambda_million_requests
),
arrived AS (
  SELECT dt, objects, heartbeats, packets
  FROM arrival_days
  WHERE dt >= CAST(CAST(current_date - INTERVAL '7' DAY AS date) AS varchar)
),
stored AS (
  SELECT
    dt,
    count(*) AS quotes,
    count(DISTINCT ROW(symbol, date_trunc('minute', event_time))) AS symbol_minutes
  FROM recent_quotes
  GROUP BY dt
),
counted AS (
  SELECT
    arrived.dt,
    coalesce(stored.quotes, 0) AS quotes,
    arrived.packets + arrived.heartbeats AS payload_units_at_most,
    coalesce(stored.quotes, 0) AS rows_written,
    coalesce(stored.symbol_minutes, 0) AS bars_written,
    arrived.objects AS batches
  FROM arrived
  LEFT JOIN stored ON stored.dt = arrived.dt
),
priced AS (
  SELECT
    counted.*,
    payload_units_at_most * kinesis_million_units / 1e6 AS kinesis_dollars,
    (rows_written + bars_written) * dynamodb_million_writes / 1e6 AS rows_dollars,
    batches * (s3_million_puts + lambda_million_requests) / 1e6 AS batches_dollars
  FROM counted
  CROSS JOIN prices
)
SELECT
  dt,
  quotes,
  payload_units_at_most,
  rows_written,
  bars_written,
  batches,
  round(kinesis_dollars, 6) AS kinesis_dollars,
  round(rows_dollars, 6) AS rows_dollars,
  round(batches_dollars, 6) AS batches_dollars,
  round((kinesis_dollars + rows_dollars + batches_dollars) * 1e6 / nullif(quotes, 0), 4) AS dollars_per_million_quotes
FROM priced
ORDER BY dt DESC
