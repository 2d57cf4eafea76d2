-- The counts of each step of the flow, as last taken. One row: a step in the newest run of reconcile.
-- `unexplained` counts the records of all differences that nobody explains, and is never less than
-- 0; `gold_version` is what Gold stood at, `run_at` is UTC.
SELECT
  step,
  gold_version,
  run_at,
  sum(delivered) AS delivered,
  sum(accepted) AS accepted,
  sum(duplicates) AS duplicates,
  sum(quarantined) AS quarantined,
  sum(held) AS held,
  sum(unexplained) AS unexplained
FROM (SELECT *, max(run_at) OVER () AS newest FROM gold.reconciliation) AS lines
WHERE run_at = newest
GROUP BY step, gold_version, run_at
