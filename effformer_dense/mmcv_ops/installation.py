"""Commands that replace the installed mmcv, by the package it came from."""

from __future__ import annotations

import importlib.metadata
import importlib.util

SEE = 'See "mmcv" in docs/troubleshooting.md.'


def compile_command() -> str:
    """Command that compiles the installed mmcv's ops for the installed torch."""
    pip = _install('--no-build-isolation ', {'mmcv-lite': 'mmcv'})
    return f'`{pip}` (in a checkout: `MMCV=compiled make setup`)'


def plain_command() -> str:
    """Command that reinstalls mmcv without compiled ops."""
    return f'`{_install("", {"mmcv": "mmcv-lite"})}` (in a checkout: `MMCV=stand-in make setup`)'


def location() -> str | None:
    """Location of mmcv; None if it is not installed."""
    spec = importlib.util.find_spec('mmcv')
    if spec is None:
        return None
    return spec.origin or ', '.join(spec.submodule_search_locations or ())


def _install(options: str, names: dict[str, str]) -> str:
    """Command for the version that is there, under the name that ``names`` has for it.

    Where several packages share the folder, what one leaves of another belongs to neither: all go, and the maintained
    fork comes.
    """
    owners = sorted(set(importlib.metadata.packages_distributions().get('mmcv', ())))
    target = 'onedl-mmcv'
    if len(owners) == 1:
        target = names.get(owners[0], owners[0])
    gone = [owner for owner in owners if owner != target or len(owners) > 1]
    uninstall = f'pip uninstall -y {" ".join(gone)} && ' if gone else ''
    version = f'=={importlib.metadata.version(owners[0])}' if len(owners) == 1 else ''
    return f'{uninstall}pip install --force-reinstall --no-deps --no-cache-dir {options}{target}{version}'
