-- What should not have happened. One row: a transaction and a rule that it breaks.
SELECT
  e.rule_id, t.transaction_id, t.event_date, t.region,
  t.transaction_status, t.settlement_status, CAST(t.updated_at AS timestamp) AS updated_at
FROM gold.transactions AS t
CROSS JOIN UNNEST(t.exceptions) AS e (rule_id)
