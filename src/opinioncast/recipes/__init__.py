"""Recipes and the demo table as data files."""
