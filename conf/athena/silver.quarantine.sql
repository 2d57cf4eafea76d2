-- Every record that could not go on, with all its reasons. One row: a refused record.
SELECT * FROM silver.quarantine_live
UNION ALL
SELECT * FROM silver.quarantine_batch
