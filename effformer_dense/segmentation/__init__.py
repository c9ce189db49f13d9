"""Semantic segmentation around the backbones: prediction in bounded memory, test-time augmentation, scores, drawing.

What mmsegmentation builds from a config is registered by importing :mod:`.register`.
"""
