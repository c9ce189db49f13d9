"""What the tools call: configs and their overrides, checks before any long work, training, testing, inference."""
