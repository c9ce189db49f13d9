"""Documents name what is there: paths, modules, functions, links."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.helpers import DOCUMENTS, PROJECT_ROOT

PACKAGE = PROJECT_ROOT / 'effformer_dense'
ROOMS = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == '.py'}
ROOTS = {'effformer_dense', 'configs', 'docs', 'tests', 'tools'}
#: In the place of a name that the reader chooses.
PLACEHOLDERS = 'NAME', 'ARCH'

#: A path of this repository or, shortened, of the package: no placeholder, no pattern.
_PATH = re.compile(r'(?<![\w/.{-])(\w+/(?:[\w-]+/)*(?:[\w-]+\.(?:py|md|sh))?)')
#: ``effformer_dense.room.thing`` or ``room.module.thing``.
_DOTTED = re.compile(r'`((?:\w+\.)+\w+)(?:\(\))?`')
_LINK = re.compile(r'\]\((?!https?:|#)([^)#]+)')


def missing(text: str, folder: Path) -> list[str]:
    """What a document in ``folder`` names and is not there."""
    links = [link for link in _LINK.findall(text) if not (folder / link).exists()]
    paths = [path for path in _PATH.findall(_LINK.sub('', text)) if _is_ours(path) and not _is_there(path)]
    names = [name for name in _DOTTED.findall(text) if not _resolves(name)]
    return [*links, *paths, *names]


def _is_ours(path: str) -> bool:
    """Modules, documents and scripts, and folders of the package; paths of other projects are their business."""
    root = path.partition('/')[0]
    if any(placeholder in path for placeholder in PLACEHOLDERS):
        return False
    if path.endswith('.py'):
        return root in {*ROOTS, *ROOMS}
    return root in ROOTS if path.endswith(('.md', '.sh')) else root == 'effformer_dense'


def _is_there(path: str) -> bool:
    return (PROJECT_ROOT / path).exists() or (PACKAGE / path).exists()


def _resolves(name: str) -> bool:
    """Whether a dotted name can be imported; one that does not begin in this package is not ours to judge."""
    parts = name.removeprefix('effformer_dense.').split('.')
    if parts[-1] in ('py', 'md', 'sh', 'json', 'yaml', 'pth') or (
        parts[0] not in ROOMS and not name.startswith('effformer')
    ):
        return True
    for length in range(len(parts), -1, -1):
        try:
            thing = importlib.import_module('.'.join(['effformer_dense', *parts[:length]]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            thing = getattr(thing, part, None)
        return thing is not None
    return False


@pytest.mark.parametrize('path', DOCUMENTS, ids=lambda path: path.name)
def test_everything_that_a_document_names_is_there(path: Path) -> None:
    assert missing(path.read_text(), path.parent) == []


def test_what_is_gone_is_found(tmp_path: Path) -> None:
    text = (
        'See [bias](gone.md), `effformer_dense/backbones/gone.py`, backbones/relpos.py, tools/gone.py, '
        '`effformer_dense.variants.Gone`, `backbones.relpos.resize_table`, `config.load.gone()`, '
        '`model.backbone.arch`, effformer_dense/gone/ and configs/{a,b}.py.'
    )
    assert missing(text, tmp_path) == [
        'gone.md',
        'effformer_dense/backbones/gone.py',
        'tools/gone.py',
        'effformer_dense/gone/',
        'effformer_dense.variants.Gone',
        'config.load.gone',
    ]
