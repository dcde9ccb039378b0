"""Predictions that start from what is known: toplines, a pilot, past waves; with intervals"""
