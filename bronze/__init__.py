"""Bronze: every delivered byte, as it came."""
