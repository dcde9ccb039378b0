"""Trained weights that come with the package, each with its card, data terms and scores."""
