-- What arrived on each day (UTC): objects, lines of each kind, positions of refused lines, lanes, and the packets that the quotes of each poll fill at most. Closed days come from the compacted table.
WITH arrived AS (
  SELECT
    dt,
    count(DISTINCT "$path") AS objects,
    count_if(kind = 'quote') AS quote_lines,
    count_if(kind = 'heartbeat') AS heartbeats,
    count_if(kind = 'action') AS actions,
    count(DISTINCT CASE WHEN kind = 'quarantined' THEN ROW(shard, sequence_number, line) END) AS quarantined,
    max(CAST(split_part(lane, '-', 4) AS integer)) AS lanes
  FROM lines
  WHERE dt >= CAST(DATE '1970-01-01' AS varchar)
  GROUP BY dt
),
-- A poll makes a packet of each lane with a quote, and another one for every 25 KB, which are at least 83 quotes.
polls AS (
  SELECT dt, ingest_time, count(*) AS quotes
  FROM lines
  WHERE kind = 'quote' AND dt >= CAST(DATE '1970-01-01' AS varchar)
  GROUP BY dt, ingest_time
),
packed AS (
  SELECT
    polls.dt,
    CAST(
      sum(least(polls.quotes, coalesce(arrived.lanes, 1) + CAST(floor(polls.quotes / 83e0) AS bigint))) AS bigint
    ) AS packets
  FROM polls
  JOIN arrived ON arrived.dt = polls.dt
  GROUP BY polls.dt
)
SELECT
  dt,
  objects,
  quote_lines,
  heartbeats,
  actions,
  quarantined,
  lanes,
  packets
FROM archive_days
WHERE dt < CAST(DATE '1970-01-01' AS varchar)
UNION ALL
SELECT
  arrived.dt,
  arrived.objects,
  arrived.quote_lines,
  arrived.heartbeats,
  arrived.actions,
  arrived.quarantined,
  arrived.lanes,
  coalesce(packed.packets, 0) AS packets
FROM arrived
LEFT JOIN packed ON packed.dt = arrived.dt
