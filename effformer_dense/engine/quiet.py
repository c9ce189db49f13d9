"""A terminal that shows what matters; the log file has everything."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from importlib import import_module
from typing import Any, TextIO

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from ..config.nodes import walk
from .processes import meet

#: What goes to the log file alone: 500 lines at the start of every run, and a word to MMEngine's developers.
_FILE_ONLY = (
    'System environment:',
    'Config:\n',
    'Hooks will be executed in the following order:',
    '"FileClient" will be deprecated',
)

#: What mmdet and mmsegmentation print when they are imported without a data service that nothing here uses.
_IMPORT_NOTICE = 'Could not import OneDL'


class QuietRunner(Runner):
    """MMEngine's Runner, whose description of environment, config and hooks goes to the log file alone.

    Several of them train and test without GPUs as well.
    """

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """Let the processes meet, without GPUs as well."""
        if self.distributed:
            meet(self.launcher, env_cfg)
        super().setup_env(env_cfg)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap the model for several processes, which are bound to no device where there is no GPU."""
        if self.distributed and not torch.cuda.is_available() and not is_model_wrapper(model):
            usual = dict(broadcast_buffers=False, find_unused_parameters=self.cfg.get('find_unused_parameters', False))
            model_wrapper_cfg = dict(usual if model_wrapper_cfg is None else model_wrapper_cfg)
            if model_wrapper_cfg.setdefault('type', 'MMDistributedDataParallel') == 'MMDistributedDataParallel':
                model_wrapper_cfg.setdefault('device_ids', None)
        return super().wrap_model(model_wrapper_cfg, model)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """MMEngine's logger with a filter on what it shows on the terminal."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            self.prepare_handler(handler)
        logger.info(f'Environment, config and order of hooks are in {logger.log_file}')
        return logger

    def dump_config(self) -> None:
        """Leave the config in the work dir to trainings: a test may have changed it; ``vis_data`` has the test's."""

    def prepare_handler(self, handler: logging.Handler) -> None:
        """Change a handler of the logger before anything is logged."""
        if not isinstance(handler, logging.FileHandler):
            handler.addFilter(_is_shown)


def _is_shown(record: logging.LogRecord) -> bool:
    return not record.getMessage().lstrip('-\n').startswith(_FILE_ONLY)


def import_frameworks(cfg: Config) -> None:
    """Import what the config takes from mmdet and mmsegmentation, which would happen later and one by one."""
    names = {str(cfg.get('default_scope'))}
    names |= {str(node.get('type')).partition('.')[0] for _, node in walk(cfg._cfg_dict)}
    for package in names & {'mmdet', 'mmseg'}:
        with suppress(ImportError):  # who needs it says what is missing
            import_module(f'{package}.datasets')


@contextmanager
def only_errors() -> Iterator[None]:
    """Keep MMEngine from telling of anything else meanwhile, for what would be told hundreds of times."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def without_import_notice() -> Iterator[None]:
    """Let through what is printed meanwhile, but for the notice, which comes by ``print`` and passes no logger."""
    with redirect_stdout(_WithoutNotice(sys.stdout)):
        yield


class _WithoutNotice(io.TextIOBase):
    """Passes text on to ``stream``, but for lines that begin with the notice."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._in_notice = False

    def write(self, text: str) -> int:
        """Pass on one piece of text; ``print`` hands over the line and its end in two."""
        if text.startswith(_IMPORT_NOTICE):
            self._in_notice = not text.endswith('\n')
        elif self._in_notice:
            self._in_notice = not text.endswith('\n')
        else:
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what text is passed on to."""
        self.stream.flush()
