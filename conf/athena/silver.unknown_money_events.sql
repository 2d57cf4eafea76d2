-- Money events whose payment neither the topic nor the log tells of. One row: an event as it stands.
SELECT
  m.identity, m.revision, m.withdrawn, m.coordinates, m.content_hash, m.event_date,
  m.event_id, m.transaction_id, m.event_type, m.amount, m.currency,
  CAST(m."timestamp" AS timestamp) AS "timestamp", m.transaction_date, m.dispute_id
FROM silver.money_events AS m
WHERE NOT m.withdrawn
  AND NOT EXISTS (
    SELECT 1 FROM silver.money_events AS later
    WHERE later.identity = m.identity AND later.revision > m.revision
  )
  AND NOT EXISTS (
    SELECT 1 FROM silver.live_transactions AS live WHERE live.transaction_id = m.transaction_id
  )
  AND NOT EXISTS (
    SELECT 1 FROM silver.batch_index AS log WHERE log.transaction_id = m.transaction_id
  )
