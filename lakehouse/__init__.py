"""Payment and fraud signals on Delta Lake: what the layers bronze, silver and gold share."""
