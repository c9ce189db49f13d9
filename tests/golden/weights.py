"""Deterministic weights and inputs behind the expected feature values in this folder.

Every tensor is a pure function of its checkpoint key (or input size), so a test can
rebuild exactly the checkpoint that produced the numbers in ``features/*.json`` without
any file being downloaded.
"""

import math
import zlib

import numpy as np

INTEGER_BUFFERS = ('num_batches_tracked', 'attention_bias_idxs', 'attention_bias_idxs_seg')


def tensor(key: str, shape) -> np.ndarray:
    """Value of checkpoint entry ``key``: float32 (int64 zeros for integer buffers)."""
    leaf = key.rsplit('.', 1)[-1]
    if leaf in INTEGER_BUFFERS:
        return np.zeros(shape, np.int64)
    x = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape, dtype=np.float32)
    if leaf == 'running_var':
        return 0.5 + 0.5 * np.abs(x)
    if leaf == 'running_mean':
        return 0.1 * x
    if leaf.startswith('layer_scale') or leaf in ('gamma', 'weight_ls'):
        return 0.3 + 0.1 * x
    if leaf.startswith('attention_biases'):
        return 0.5 * x
    if len(shape) == 1:
        return 1 + 0.1 * x if leaf == 'weight' else 0.1 * x
    return x / math.sqrt(math.prod(shape[1:]))


def checkpoint(layout: dict) -> dict:
    """``{key: shape}`` (a file of ``layouts/``) to ``{key: array}``."""
    return {k: tensor(k, tuple(s)) for k, s in layout.items()}


def image(height: int, width: int) -> np.ndarray:
    """Input batch of shape (1, 3, height, width), float32, unit normal."""
    return np.random.default_rng(height * 10000 + width).standard_normal((1, 3, height, width), dtype=np.float32)


def samples(feature: np.ndarray, n: int = 256) -> np.ndarray:
    """``n`` evenly spaced values of the flattened feature map."""
    flat = feature.reshape(-1)
    return flat[np.linspace(0, flat.size - 1, n).astype(np.int64)]
