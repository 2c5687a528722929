-- Every refused line once: its position on the stream, the reason, and its bytes in base64.
SELECT shard, sequence_number, line, reason, content, dt, hour
FROM (
  SELECT
    *,
    row_number() OVER (PARTITION BY shard, sequence_number, line ORDER BY "$path" DESC) AS copy
  FROM lines
  WHERE kind = 'quarantined'
)
WHERE copy = 1
