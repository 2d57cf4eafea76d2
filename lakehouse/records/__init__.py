"""What one row of each table is. All instants are UTC; all amounts are minor units (ISO 4217)."""
