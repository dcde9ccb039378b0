"""Text in, log-probabilities of option labels out. Knows neither surveys nor groups."""

from opinioncast.backends.protocol import Backend, LabelRequest, LabelScores

__all__ = ["Backend", "LabelRequest", "LabelScores"]
