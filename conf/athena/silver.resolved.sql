-- Corrections that Silver has taken, as a row of its own or as an equal one. One row: a correction.
SELECT
  c.coordinates, c.source_table, c."partition", c."offset",
  CAST(c.delivered_at AS timestamp) AS delivered_at, c.quarantine_date, c.payload,
  c.identity, c.transaction_id, c.content_hash, c.event_date, c.reason,
  CAST(c.recorded_at AS timestamp) AS recorded_at
FROM silver.corrections AS c
WHERE EXISTS (
    SELECT 1 FROM silver.live_transactions AS live
    WHERE live.identity = c.identity AND live.content_hash = c.content_hash
  )
  OR EXISTS (
    SELECT 1 FROM silver.fraud_scores AS score
    WHERE score.identity = c.identity AND score.content_hash = c.content_hash
  )
