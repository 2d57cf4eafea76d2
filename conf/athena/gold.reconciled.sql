-- The counts of each step of the flow, as last taken. One row: a step.
-- delivered = accepted + duplicates + quarantined + held + unexplained
SELECT
  step, gold_version, delivered, accepted, duplicates, quarantined, held, unexplained
FROM (
  SELECT
    *,
    -- of two counts at one version the later has seen no less
    row_number() OVER (PARTITION BY step ORDER BY gold_version DESC, delivered DESC) AS place
  FROM gold.reconciliation
) AS counts
WHERE place = 1
