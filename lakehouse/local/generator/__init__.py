"""A seeded generator of payments, their later life, and the mess of real feeds.

`generate(GeneratorSettings())` is pure; `write_drops` and `lakehouse.local.generator.producer`
bring its result into the world.
"""

from lakehouse.local.generator.correction import Correction, corrected_drop
from lakehouse.local.generator.feed import FeedRecord
from lakehouse.local.generator.generated import (
    GeneratedWorld,
    Planted,
    Truth,
    generate,
    generate_topics,
)
from lakehouse.local.generator.landing import write_drops
from lakehouse.local.generator.payments import Payment
from lakehouse.local.generator.settings import GeneratorSettings
from lakehouse.local.generator.sheets import DropFile

__all__ = [
    "Correction",
    "DropFile",
    "FeedRecord",
    "GeneratedWorld",
    "GeneratorSettings",
    "Payment",
    "Planted",
    "Truth",
    "corrected_drop",
    "generate",
    "generate_topics",
    "write_drops",
]
