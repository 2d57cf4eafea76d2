-- How payments were scored, by what became of them. One row: an outcome and a tenth of the scores.
--   score_from   the tenth begins here (0.0 to 0.9) and ends before the next; 1 is in the last;
--                null: no score has come
--   outcome      DISPUTED (chargebacks exceed their reversals), DECLINED, SETTLED, else WAITING
SELECT
  CASE
    WHEN settlement_status = 'CHARGEBACK' THEN 'DISPUTED'
    WHEN transaction_status = 'DECLINED' THEN 'DECLINED'
    WHEN settled_amount > 0 THEN 'SETTLED'
    ELSE 'WAITING'
  END AS outcome,
  -- not least(): of a null and 9 it is 9 in Spark, and null in Athena
  CASE
    WHEN fraud_score >= 1 THEN CAST(9 AS double) / 10
    ELSE CAST(floor(fraud_score * 10) AS double) / 10
  END AS score_from,
  count(*) AS transactions
FROM gold.current_transactions
GROUP BY 1, 2
