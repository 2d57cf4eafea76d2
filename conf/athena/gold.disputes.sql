-- Payments that were charged back. One row: a transaction. Amounts are in whole smallest units.
-- `disputed_at` is the first chargeback (UTC); OPEN while those of a dispute exceed its reversals.
SELECT
  transaction_id, event_date, region, currency, merchant_id, amount,
  chargeback_amount, chargeback_reversed_amount,
  CASE WHEN settlement_status = 'CHARGEBACK' THEN 'OPEN' ELSE 'REVERSED' END AS state,
  CAST(
    array_min(
      transform(
        filter(contributions, c -> c.event_type = 'CHARGEBACK' AND NOT c.withdrawn),
        c -> c.event_time
      )
    ) AS timestamp
  ) AS disputed_at
FROM gold.transactions
WHERE event_date <> DATE '1970-01-01' AND chargeback_amount > 0
