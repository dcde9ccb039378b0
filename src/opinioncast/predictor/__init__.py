"""Settings that check themselves -> open methods and models -> predictions, again and again."""

from opinioncast.predictor.predictor import Predictor, predict
from opinioncast.predictor.settings import DEFAULT_METHOD, PredictSettings

__all__ = ["DEFAULT_METHOD", "PredictSettings", "Predictor", "predict"]
