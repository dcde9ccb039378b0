"""How a distribution is predicted: zero-shot, baselines, the embedding network, blends."""
