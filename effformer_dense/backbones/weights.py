"""How backbones take in weights: what is in a file is adapted by whoever knows its layout, and is never run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from mmengine.model import BaseModule


class TakesWeights(BaseModule):
    """A module whose files are read as :mod:`effformer_dense.checkpoint` says, which sets both attributes.

    So the backbones need not know file layouts.
    """

    #: Called before weights are loaded as ``adapter(module, state_dict, prefix)`` and may rewrite ``state_dict`` in
    #: place.
    state_dict_adapter: ClassVar[Callable[[Any, dict, str], None] | None] = None

    #: Context in which ``init_cfg`` is carried out, so that its files are read without running anything.
    reading: ClassVar[Callable[[], AbstractContextManager]] = nullcontext

    def __init__(self, init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg)
        self._register_load_state_dict_pre_hook(_adapt_state_dict, with_module=True)

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says; what is in a file that it names is never run."""
        with type(self).reading():
            super().init_weights()


def _adapt_state_dict(module: TakesWeights, state_dict: dict, prefix: str, *_: object) -> None:
    adapter = type(module).state_dict_adapter
    if adapter is not None:
        adapter(module, state_dict, prefix)
