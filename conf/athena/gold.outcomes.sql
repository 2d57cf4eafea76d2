-- Each payment with what became of it, as the rates below count it. One row: a transaction.
--   is_answered       the acquirer authorised or declined it
--   is_labelled       money was settled, and it is older than the dispute horizon (180 days): who
--                     wanted to dispute it has done so
--   is_fraud          labelled, and charged back for good (of a dispute, chargebacks exceed reversals)
--   is_decided        the gateway was advised at all: what only the daily logs tell of was not
--   is_flagged        the gateway was advised to REVIEW or BLOCK it
-- Of younger payments only those already disputed would be known: to count them would call
-- everything fraud that is known early.
SELECT
  transaction_id, event_date, region, currency, merchant_id, amount, fraud_score,
  fraud_reason_code, decision,
  transaction_status IN ('AUTHORIZED', 'DECLINED') AS is_answered,
  transaction_status = 'DECLINED' AS is_declined,
  settled_amount > 0 AND event_date <= date_add('day', -180, current_date) AS is_labelled,
  settled_amount > 0 AND event_date <= date_add('day', -180, current_date)
    AND coalesce(settlement_status = 'CHARGEBACK', false) AS is_fraud,
  decision IS NOT NULL AS is_decided,
  coalesce(decision.recommended_action IN ('REVIEW', 'BLOCK'), false) AS is_flagged
FROM gold.current_transactions
