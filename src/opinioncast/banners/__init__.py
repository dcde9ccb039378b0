"""Toplines and banner tables: what stands in each cell, computed exactly; writers are elsewhere."""
