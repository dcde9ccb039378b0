"""Settings that check themselves -> open methods and models -> predictions, again and again."""

from opinioncast.predictor.predictor import Predictor, predict
from opinioncast.predictor.settings import PredictSettings

__all__ = ["PredictSettings", "Predictor", "predict"]
