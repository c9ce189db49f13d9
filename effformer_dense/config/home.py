"""Where the configs of this package are, and data that a config names by a relative path."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

#: Spelling of a config by its package, as in MMEngine: ``effformer_dense::maskrcnn_v2_l_coco.py``.
PREFIX = f'{_PACKAGE.name}::'

#: The checkout that the package is imported from; None where it was installed from a wheel. A folder ``configs`` alone
#: is no sign of one: other packages leave theirs in site-packages.
CHECKOUT: Path | None = _PACKAGE.parent if (_PACKAGE.parent / 'tools' / 'door.py').is_file() else None

#: A wheel has the configs where OpenMMLab's packages have theirs.
CONFIGS = CHECKOUT / 'configs' if CHECKOUT else _PACKAGE / '.mim' / 'configs'


def find_config(name: str) -> Path | None:
    """File of a config.

    Args:
        name: a path, also one from a checkout (``configs/maskrcnn_v2_l_coco.py``); or one of ours by its name, with or
            without :data:`PREFIX` and ``.py``.

    Returns:
        Its file; None if there is none.
    """
    path = Path(name)
    if path.is_file():
        return path
    ours = Path(name.removeprefix(PREFIX))
    inside = ours.relative_to('configs') if ours.parts[:1] == ('configs',) else ours
    candidates = (CONFIGS / inside, CONFIGS / f'{inside}.py')
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def config_names() -> list[str]:
    """Ours, as :func:`find_config` takes them; without those that are there to be built on."""
    files = (path.relative_to(CONFIGS) for path in CONFIGS.rglob('*.py'))
    return sorted(path.with_suffix('').as_posix() for path in files if path.parts[0] != '_base_')


def data_place(relative: str | Path) -> Path:
    """Where data are: below the checkout if they are there and not below the current directory; else below that."""
    here = Path(relative).absolute()
    there = None if CHECKOUT is None else CHECKOUT / relative
    return there if there is not None and there.exists() and not here.exists() else here
