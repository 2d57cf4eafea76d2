-- Payments, what was answered and what was charged back. One row: a UTC day of payments.
--   decline_rate   of answered payments, how many were declined
--   dispute_rate   of settled payments, how many are charged back as it stands (chargebacks exceed
--                  their reversals); of recent days it still grows
--   flag_rate      of decided payments, on how many the gateway was advised to REVIEW or BLOCK
-- Rates are from 0 to 1, and null where nothing is known to divide by.
SELECT
  event_date,
  count(*) AS transactions,
  count_if(transaction_status IN ('AUTHORIZED', 'DECLINED')) AS answered,
  count_if(transaction_status = 'DECLINED') AS declined,
  CAST(count_if(transaction_status = 'DECLINED') AS double)
    / nullif(count_if(transaction_status IN ('AUTHORIZED', 'DECLINED')), 0) AS decline_rate,
  count_if(settled_amount > 0) AS settled,
  count_if(settled_amount > 0 AND settlement_status = 'CHARGEBACK') AS disputed,
  CAST(
    count_if(settled_amount > 0 AND settlement_status = 'CHARGEBACK') AS double
  ) / nullif(count_if(settled_amount > 0), 0) AS dispute_rate,
  count_if(decision IS NOT NULL) AS decided,
  count_if(decision.recommended_action IN ('REVIEW', 'BLOCK')) AS flagged,
  CAST(count_if(decision.recommended_action IN ('REVIEW', 'BLOCK')) AS double)
    / nullif(count_if(decision IS NOT NULL), 0) AS flag_rate
FROM gold.current_transactions
GROUP BY event_date
