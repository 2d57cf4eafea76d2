-- Every model output, whatever brought it. One row: a score and its revision.
SELECT * FROM silver.fraud_scores
UNION ALL
SELECT * FROM silver.offline_scores
