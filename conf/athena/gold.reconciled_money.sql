-- The money of each step of the flow, as last counted. One row: a step, a currency and a type of
-- money event (null: payments) in the newest run of reconcile.
-- Amounts are in whole smallest units of `currency`, of the records whose amount could be read, as
-- is `unexplained_amount`; `gold_version` is what Gold stood at, `run_at` is UTC.
SELECT
  step,
  currency,
  event_type,
  gold_version,
  CAST(run_at AS timestamp) AS run_at,
  sum(delivered_amount) AS delivered_amount,
  sum(accepted_amount) AS accepted_amount,
  sum(duplicates_amount) AS duplicates_amount,
  sum(quarantined_amount) AS quarantined_amount,
  sum(held_amount) AS held_amount,
  sum(unexplained_amount) AS unexplained_amount
FROM (SELECT *, max(run_at) OVER () AS newest FROM gold.reconciliation) AS lines
WHERE run_at = newest AND currency IS NOT NULL
GROUP BY step, currency, event_type, gold_version, run_at
HAVING count(delivered_amount) + count(accepted_amount) + count(unexplained_amount) > 0
