-- Bars in double, adjusted for the splits and dividends after them: multiplied by denominator/numerator of each split, and by 1 - amount/close of each dividend, with the last close before it.
WITH actions AS (
  -- A price of the day of an action knows of it, also before the open, at which it takes effect. So an action changes
  -- the bars that begin at least 6 hours before it. A bar of a day begins at midnight: that of its own day less than 22
  -- hours before it, and that of the day before at least 23 hours before it.
  SELECT
    symbol,
    resolution,
    action,
    event_time - CASE WHEN resolution = '1d' THEN INTERVAL '22' HOUR ELSE INTERVAL '6' HOUR END AS changes_to,
    CAST(numerator AS double) AS numerator,
    CAST(denominator AS double) AS denominator,
    CAST(amount AS double) AS amount
  FROM corporate_actions
  CROSS JOIN (VALUES ('1m'), ('5m'), ('1h'), ('1d')) AS resolutions (resolution)
  -- An action may be known before it takes effect.
  WHERE CAST(event_time AS date) <= current_date
),
closes AS (
  SELECT
    actions.symbol,
    actions.resolution,
    actions.changes_to,
    max_by(CAST(bars.close AS double), bars.start) AS close
  FROM actions
  JOIN bars
    ON bars.symbol = actions.symbol
    AND bars.resolution = actions.resolution
    AND bars.start <= actions.changes_to
  WHERE actions.action = 'dividend'
  GROUP BY actions.symbol, actions.resolution, actions.changes_to
),
factors AS (
  -- Sums of logarithms stand for products. A dividend that is not below the close has no factor.
  SELECT
    actions.symbol,
    actions.resolution,
    actions.changes_to,
    sum(CASE WHEN actions.action = 'split' THEN ln(actions.denominator) - ln(actions.numerator) ELSE 0e0 END)
      AS split_log,
    sum(CASE WHEN actions.amount < closes.close THEN ln(1e0 - actions.amount / closes.close) ELSE 0e0 END)
      AS dividend_log
  FROM actions
  LEFT JOIN closes
    ON closes.symbol = actions.symbol
    AND closes.resolution = actions.resolution
    AND closes.changes_to = actions.changes_to
  GROUP BY actions.symbol, actions.resolution, actions.changes_to
),
periods AS (
  -- The product of all factors from an action on holds after the action before it.
  SELECT
    symbol,
    resolution,
    changes_to,
    coalesce(
      lag(changes_to) OVER (PARTITION BY symbol, resolution ORDER BY changes_to), TIMESTAMP '1900-01-01 00:00:00'
    ) AS changes_after,
    round(exp(sum(split_log) OVER (PARTITION BY symbol, resolution ORDER BY changes_to DESC)), 15) AS split_factor,
    round(exp(sum(dividend_log) OVER (PARTITION BY symbol, resolution ORDER BY changes_to DESC)), 15)
      AS dividend_factor
  FROM factors
),
factored AS (
  SELECT
    bars.*,
    coalesce(periods.split_factor, 1e0) AS split_factor,
    coalesce(periods.dividend_factor, 1e0) AS dividend_factor
  FROM bars
  LEFT JOIN periods
    ON periods.symbol = bars.symbol
    AND periods.resolution = bars.resolution
    AND bars.start <= periods.changes_to
    AND bars.start > periods.changes_after
)
SELECT
  symbol,
  resolution,
  start,
  day,
  CAST(open AS double) * split_factor * dividend_factor AS open,
  CAST(high AS double) * split_factor * dividend_factor AS high,
  CAST(low AS double) * split_factor * dividend_factor AS low,
  CAST(close AS double) * split_factor * dividend_factor AS close,
  CAST(volume AS double) / split_factor AS volume,
  close AS unadjusted_close,
  split_factor,
  dividend_factor,
  provenance
FROM factored
