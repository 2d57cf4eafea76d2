"""Bronze -> Silver live beside Kafka -> parse -> nowhere, and one batch over a long history."""

from __future__ import annotations

LEAST_RATIO = 0.35  # of the records per second that are only parsed
