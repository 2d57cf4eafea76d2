-- Every model output, whatever brought it. One row: a score and its revision.
SELECT
  identity, revision, withdrawn, coordinates, content_hash, event_date,
  model_version, transaction_id, fraud_score, explanations,
  CAST(inference_time AS timestamp) AS inference_time, score_source, fraud_reason_code
FROM silver.fraud_scores
UNION ALL
SELECT
  identity, revision, withdrawn, coordinates, content_hash, event_date,
  model_version, transaction_id, fraud_score, explanations,
  CAST(inference_time AS timestamp) AS inference_time, score_source, fraud_reason_code
FROM silver.offline_scores
