"""Silver: parsed, judged, one row per identity and revision."""
