-- Every line of a quote as it arrived, with typed columns. A quote that was sent twice has two rows. Filter by dt to read only some days.
SELECT
  symbol,
  CAST(from_iso8601_timestamp(event_time) AS timestamp(6)) AS event_time,
  coalesce(revision, 0) AS revision,
  CAST(price AS decimal(38,26)) AS price,
  CAST(open AS decimal(38,26)) AS open,
  CAST(high AS decimal(38,26)) AS high,
  CAST(low AS decimal(38,26)) AS low,
  CAST(previous_close AS decimal(38,26)) AS previous_close,
  volume,
  currency,
  exchange,
  market_state,
  delay_minutes,
  CAST(from_iso8601_timestamp(source_time) AS timestamp(6)) AS source_time,
  volume_period,
  provenance,
  source,
  CAST(from_iso8601_timestamp(ingest_time) AS timestamp(6)) AS ingest_time,
  "$path" AS object,
  dt,
  hour
FROM lines
WHERE kind = 'quote'
