"""The files that a prediction is written to: one module and one declaration a format."""
