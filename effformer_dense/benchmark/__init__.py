"""How long, how much memory: the command ``benchmark``."""
