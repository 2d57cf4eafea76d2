-- What is known of each transaction now. One row: a transaction whose payment has been seen.
-- Amounts are whole smallest units of `currency`, times are UTC. Rows whose payment has not come
-- yet wait under a reserved day, and are none.
SELECT
  transaction_id, user_id, CAST("timestamp" AS timestamp) AS "timestamp", amount, currency,
  fraud_score, fraud_reason_code,
  policy_flag, transaction_status, settlement_status, CAST(updated_at AS timestamp) AS updated_at,
  country, region, merchant_id, payment_token, sequence,
  amount_base, base_currency, fx_rate, fx_rate_date, fx_status,
  score_source, model_version,
  CAST(decision AS ROW(
    event_id varchar, decided_at timestamp, fraud_score decimal(7, 6), fraud_reason_code varchar,
    score_source varchar, score_id varchar, model_version varchar, policy_flag varchar,
    policy_flags array(varchar), recommended_action varchar
  )) AS decision,
  settled_amount, refunded_amount, chargeback_amount, chargeback_reversed_amount,
  CAST(last_money_at AS timestamp) AS last_money_at, exceptions, event_date
FROM gold.transactions
WHERE event_date <> DATE '1970-01-01'
