"""``python -m effformer_dense``, and ``torchrun -m effformer_dense``: the command ``effdense``."""

from .commands.cli import effdense

if __name__ == '__main__':
    effdense()
