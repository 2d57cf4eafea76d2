-- The Batch Index as it stands. One row: a transaction of the daily logs that is not withdrawn.
-- By transaction: a question about one reads the files that can hold it.
SELECT
  transaction_id, user_id, CAST("timestamp" AS timestamp) AS "timestamp", amount, currency,
  fraud_score, fraud_reason_code,
  policy_flag, transaction_status, settlement_status, CAST(updated_at AS timestamp) AS updated_at,
  country, region, merchant_id, payment_token, sequence,
  amount_base, base_currency, fx_rate, fx_rate_date, fx_status,
  score_id, score_source, model_version, CAST(inference_time AS timestamp) AS inference_time,
  explanations,
  policy_flags, policies, velocity, recommended_action,
  identity, revision, withdrawn, coordinates, content_hash, event_date, extra
FROM (
  SELECT *, max(revision) OVER (PARTITION BY transaction_id) AS newest
  FROM silver.batch_transactions
) AS revisions
WHERE revision = newest AND NOT withdrawn
