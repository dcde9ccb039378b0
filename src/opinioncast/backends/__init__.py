"""Text in, log-probabilities of option labels or text out. Knows neither surveys nor groups."""

from opinioncast.backends.protocol import (
    Backend,
    GeneratedText,
    Generator,
    LabelRequest,
    LabelScores,
    TextRequest,
)

__all__ = [
    "Backend",
    "GeneratedText",
    "Generator",
    "LabelRequest",
    "LabelScores",
    "TextRequest",
]
