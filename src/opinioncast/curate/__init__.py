"""From survey microdata to opinion tables: select, refine, scale, group, aggregate, resample."""
