-- Authorised payments that have not settled, by how long they wait. One row: a currency and an age.
-- `amount` is in whole smallest units of the currency; an age is in UTC days since the payment.
SELECT
  currency,
  CASE
    WHEN date_diff('day', event_date, current_date) <= 1 THEN '0 to 1 days'
    WHEN date_diff('day', event_date, current_date) <= 3 THEN '2 to 3 days'
    WHEN date_diff('day', event_date, current_date) <= 7 THEN '4 to 7 days'
    WHEN date_diff('day', event_date, current_date) <= 30 THEN '8 to 30 days'
    ELSE 'over 30 days'
  END AS age,
  min(event_date) AS oldest,
  count(*) AS transactions,
  sum(amount) AS amount
FROM gold.current_transactions
WHERE transaction_status = 'AUTHORIZED' AND settled_amount = 0
GROUP BY 1, 2
