"""Pictures, videos and cameras in, results out, whatever predicts: PyTorch or an exported file. Needs neither torch nor
OpenMMLab."""
