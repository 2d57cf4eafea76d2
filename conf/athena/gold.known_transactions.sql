-- What was known of each transaction, and when. One row: a transaction in one state, which held
-- from `known_from` (inclusive) to `known_until` (exclusive; null: it still holds), both UTC.
-- As of a time:
--   SELECT * FROM gold.known_transactions
--   WHERE known_from <= TIMESTAMP '2026-03-08 14:03:00'
--     AND (known_until IS NULL OR known_until > TIMESTAMP '2026-03-08 14:03:00')
-- It is as complete as history is: up to the newest version in gold.history_chain. States in which
-- only money or scores were known, and no payment, are none.
SELECT * FROM (
  SELECT
    transaction_id, "timestamp", amount, currency, fraud_score, fraud_reason_code,
    policy_flag, transaction_status, settlement_status, updated_at,
    country, region, merchant_id, amount_base, base_currency,
    score_source, model_version, decision,
    settled_amount, refunded_amount, chargeback_amount, chargeback_reversed_amount,
    last_money_at, exceptions, event_date,
    gold_version, changed_groups, known_from,
    lead(known_from) OVER (PARTITION BY transaction_id ORDER BY gold_version) AS known_until
  FROM gold.transaction_history
) AS states
WHERE event_date <> DATE '1970-01-01'
