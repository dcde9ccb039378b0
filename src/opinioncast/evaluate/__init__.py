"""From an OpinionTable and a PredictionTable to distances and scores."""
