-- How well each reason code tells fraud. One row: a reason code that the gateway was given.
-- Columns as in gold.policy_effectiveness.
SELECT
  o.decision.fraud_reason_code AS fraud_reason_code,
  count(*) AS fired,
  count_if(o.is_labelled) AS labelled,
  count_if(o.is_fraud) AS fraudulent,
  CAST(count_if(o.is_fraud) AS double) / nullif(count_if(o.is_labelled), 0) AS "precision",
  CAST(count_if(o.is_fraud) AS double) / nullif(max(a.fraudulent), 0) AS recall,
  CAST(count_if(o.is_labelled AND NOT o.is_fraud) AS double) / nullif(max(a.genuine), 0)
    AS false_positive_rate
FROM gold.outcomes AS o
CROSS JOIN (
  SELECT
    count_if(is_fraud AND is_decided) AS fraudulent,
    count_if(is_labelled AND NOT is_fraud AND is_decided) AS genuine
  FROM gold.outcomes
) AS a
WHERE o.decision IS NOT NULL
GROUP BY o.decision.fraud_reason_code
