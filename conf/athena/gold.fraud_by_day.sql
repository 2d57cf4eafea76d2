-- Fraud, declines and false alarms. One row: a UTC day of payments.
--   fraud_rate            of labelled payments, how many were fraud
--   false_positive_rate   of decided labelled payments that were none, how many were flagged
--   decline_rate          of answered payments, how many were declined
-- Rates are from 0 to 1, and null where nothing is known to divide by.
SELECT
  event_date,
  count(*) AS transactions,
  count_if(is_labelled) AS labelled,
  count_if(is_fraud) AS fraudulent,
  CAST(count_if(is_fraud) AS double) / nullif(count_if(is_labelled), 0) AS fraud_rate,
  CAST(count_if(is_labelled AND NOT is_fraud AND is_flagged) AS double)
    / nullif(count_if(is_labelled AND NOT is_fraud AND is_decided), 0) AS false_positive_rate,
  count_if(is_declined) AS declined,
  CAST(count_if(is_declined) AS double) / nullif(count_if(is_answered), 0) AS decline_rate
FROM gold.outcomes
GROUP BY event_date
