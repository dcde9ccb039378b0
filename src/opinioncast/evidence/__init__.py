"""Predictions that start from what is known: toplines, a pilot, groups, past waves; with intervals"""
