"""The backends that can be named: one module and one declaration each."""
