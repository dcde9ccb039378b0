"""Predict how subpopulations answer a survey question, and say how wrong that may be."""
