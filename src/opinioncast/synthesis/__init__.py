"""Synthetic records for testing pipelines: people of a population frame, answers of predictions."""
