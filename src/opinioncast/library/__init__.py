"""Surveys at hand: what was asked before, and what groups answered; shipped and the user's own."""
