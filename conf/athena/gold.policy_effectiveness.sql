-- How well each policy rule tells fraud. One row: a policy flag that fired at a decision.
--   precision             of labelled payments on which it fired, how many were fraud
--   recall                of all decided labelled fraud, on how much it fired
--   false_positive_rate   of all decided labelled payments that were none, on how many it fired
-- What only the daily logs tell of was not decided: no rule could fire on it.
SELECT
  f.policy_flag,
  count(*) AS fired,
  count_if(o.is_labelled) AS labelled,
  count_if(o.is_fraud) AS fraudulent,
  CAST(count_if(o.is_fraud) AS double) / nullif(count_if(o.is_labelled), 0) AS "precision",
  CAST(count_if(o.is_fraud) AS double) / nullif(max(a.fraudulent), 0) AS recall,
  CAST(count_if(o.is_labelled AND NOT o.is_fraud) AS double) / nullif(max(a.genuine), 0)
    AS false_positive_rate
FROM gold.outcomes AS o
CROSS JOIN UNNEST(o.decision.policy_flags) AS f (policy_flag)
CROSS JOIN (
  SELECT
    count_if(is_fraud AND is_decided) AS fraudulent,
    count_if(is_labelled AND NOT is_fraud AND is_decided) AS genuine
  FROM gold.outcomes
) AS a
GROUP BY f.policy_flag
