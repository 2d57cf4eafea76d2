-- What was known of each transaction, and when. One row: a transaction in one state, which held
-- from `known_from` (inclusive) to `known_until` (exclusive; null: it still holds), both UTC.
-- As of a time:
--   SELECT * FROM gold.known_transactions
--   WHERE known_from <= TIMESTAMP '2026-03-08 14:03:00'
--     AND (known_until IS NULL OR known_until > TIMESTAMP '2026-03-08 14:03:00')
-- That sorts all of history, whatever the time. Cheaper, for it reads the days up to then alone:
--   SELECT transaction_id, max_by(transaction_status, gold_version) AS transaction_status
--   FROM gold.transaction_history
--   WHERE known_date <= DATE '2026-03-08' AND known_from <= TIMESTAMP '2026-03-08 14:03:00 UTC'
--   GROUP BY transaction_id
--   HAVING max_by(event_date, gold_version) <> DATE '1970-01-01'
-- It is as complete as history is: up to the newest version in gold.history_chain. States in which
-- only money or scores were known, and no payment, are none.
SELECT
  transaction_id, CAST("timestamp" AS timestamp) AS "timestamp", amount, currency, fraud_score,
  fraud_reason_code,
  policy_flag, transaction_status, settlement_status, CAST(updated_at AS timestamp) AS updated_at,
  country, region, merchant_id, amount_base, base_currency,
  score_source, model_version,
  CAST(decision AS ROW(
    event_id varchar, decided_at timestamp, fraud_score decimal(7, 6), fraud_reason_code varchar,
    score_source varchar, score_id varchar, model_version varchar, policy_flag varchar,
    policy_flags array(varchar), recommended_action varchar
  )) AS decision,
  settled_amount, refunded_amount, chargeback_amount, chargeback_reversed_amount,
  CAST(last_money_at AS timestamp) AS last_money_at, exceptions, event_date,
  gold_version, changed_groups,
  CAST(known_from AS timestamp) AS known_from, CAST(known_until AS timestamp) AS known_until
FROM (
  SELECT
    *, lead(known_from) OVER (PARTITION BY transaction_id ORDER BY gold_version) AS known_until
  FROM gold.transaction_history
) AS states
WHERE event_date <> DATE '1970-01-01'
