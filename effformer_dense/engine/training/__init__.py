"""Training that survives the night: checkpoints, interruptions, resuming, numbers gone wrong."""
