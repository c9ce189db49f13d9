"""Reading configs: overrides, switches, registry lookups and the meaning of data set nodes."""
