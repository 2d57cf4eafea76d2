-- What was paid and what became of it. One row: a currency of payments and a base currency.
-- Amounts are in whole smallest units of `currency`; `amount_base` in those of `base_currency`, of
-- the payments that have one (`in_base`).
SELECT
  currency,
  base_currency,
  count(*) AS transactions,
  sum(amount) AS amount,
  sum(settled_amount) AS settled_amount,
  sum(refunded_amount) AS refunded_amount,
  sum(chargeback_amount) AS chargeback_amount,
  sum(chargeback_reversed_amount) AS chargeback_reversed_amount,
  count(amount_base) AS in_base,
  sum(amount_base) AS amount_base
FROM gold.current_transactions
GROUP BY currency, base_currency
