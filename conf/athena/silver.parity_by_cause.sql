-- Payments on which live and batch differ as it stands, by why. One row: a cause.
-- A payment counts once for each of its causes. UNEXPLAINED: a value differs, and no cause that is
-- proven explains it.
SELECT
  c.cause,
  count(*) AS payments,
  min(d.event_date) AS first_day,
  max(d.event_date) AS last_day
FROM (
  SELECT
    event_date,
    CASE
      WHEN cardinality(unexplained) > 0 THEN concat(causes, ARRAY['UNEXPLAINED'])
      ELSE causes
    END AS causes
  FROM (
    SELECT *, max(revision) OVER (PARTITION BY identity) AS newest FROM silver.parity
  ) AS revisions
  WHERE revision = newest AND NOT withdrawn
) AS d
CROSS JOIN UNNEST(d.causes) AS c (cause)
GROUP BY c.cause
