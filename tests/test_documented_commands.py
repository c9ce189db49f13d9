"""Commands that documents, help texts and configs show are understood as they stand there."""

from __future__ import annotations

import ast
import functools
import importlib
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import tyro

from effformer_dense.commands import cli
from effformer_dense.errors import UserError
from tests.helpers import DOCUMENTS, PROJECT_ROOT

SCRIPTS = [*sorted(PROJECT_ROOT.glob('configs/**/*.py')), *sorted(PROJECT_ROOT.glob('tools/*.py'))]

_FENCED = re.compile(r'^```\w*\n(.*?)^```', re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r'`((?:effdense |python |tools/|torchrun )[^`]*)`')
_TOOL = re.compile(r'(?:.*/)?tools/(\w+)\.py')
#: Where what belongs to a command ends on a line of the shell.
_ENDS = ('&&', '|', '>', ';', '&')

Parsed = tuple[str, list[str]]


def in_document(text: str) -> Iterator[Parsed]:
    """Commands of blocks and, where they have options or arguments, of the text between."""
    for block in _FENCED.findall(text):
        yield from in_lines(block)
    for span in _INLINE.findall(_FENCED.sub('', text)):
        found = command_of(' '.join(span.split()))
        if found is not None and found[1]:
            yield found


def in_lines(text: str) -> Iterator[Parsed]:
    """Commands, one to a line."""
    for line in text.replace('\\\n', ' ').splitlines():
        found = command_of(line)
        if found is not None:
            yield found


def command_of(line: str) -> Parsed | None:
    """Name and arguments of a command of ours on a line; None where there is none, or it is shortened by dots."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # prose, with an apostrophe
        return None
    if '...' in words:
        return None
    for index, word in enumerate(words):
        tool = _TOOL.fullmatch(word)
        start = index + 1 if tool else index + 2
        name = tool[1].replace('_', '-') if tool else ' '.join(words[index + 1 : start]) if word == 'effdense' else ''
        if name in cli.COMMANDS:
            arguments = words[start:]
            end = min((arguments.index(sign) for sign in _ENDS if sign in arguments), default=len(arguments))
            return name, arguments[:end]
    return None


def docstring_lines(path: Path) -> str:
    """What a docstring shows as code: its lines that are set in."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ''
    return '\n'.join(line for line in text.splitlines() if line.startswith('    '))


@pytest.fixture
def understand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[[Parsed, bool], str]:
    """Parse a command, without running it, and tell what is wrong with it. A mention need not be complete."""
    parse = tyro.cli

    def parse_only(function: Callable, **options: Any) -> None:
        parse(functools.wraps(function)(lambda *_, **__: None), **options)

    monkeypatch.setattr(cli.tyro, 'cli', parse_only)

    def tell(found: Parsed, is_mention: bool = False) -> str:
        try:
            cli.parse_and_call(*found)
        except (SystemExit, UserError) as error:
            said = str(error) if isinstance(error, UserError) else capsys.readouterr().err
            lacking = 'Required options' in said or 'Value error' in said or isinstance(error, UserError)
            return '' if getattr(error, 'code', 2) == 0 or (is_mention and lacking) else f'{found}: {said}'
        return ''

    return tell


def test_what_documents_measure_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options that go together by themselves need not go with others."""
    pytest.importorskip('timm')
    found = [one for path in DOCUMENTS for one in in_document(path.read_text()) if one[0] == 'benchmark']
    elsewhere = {'--published', 'bf16', 'cuda'}  # what not every machine has
    here = [one for one in found if not elsewhere & set(one[1])]
    assert len(here) > 7
    measured = mock.Mock()
    monkeypatch.setattr('effformer_dense.benchmark.report.run', measured)
    monkeypatch.setattr('effformer_dense.threads.available_cores', lambda: 2)
    for one in here:
        cli.parse_and_call(*one)
    assert measured.call_count == len(here) and all(call.args[0] for call in measured.call_args_list)


@pytest.mark.parametrize('path', DOCUMENTS, ids=lambda path: path.name)
def test_documents(path: Path, understand: Callable) -> None:
    text = path.read_text()
    blocks = '\n'.join(_FENCED.findall(text))
    assert [said for found in in_lines(blocks) if (said := understand(found))] == []
    assert [said for found in in_document(_FENCED.sub('', text)) if (said := understand(found, True))] == []


def test_docstrings_of_configs_and_tools(understand: Callable) -> None:
    found = [one for path in SCRIPTS for one in in_lines(docstring_lines(path))]
    assert len(found) > 70
    assert [said for one in found if (said := understand(one))] == []


@pytest.mark.parametrize('name', cli.COMMANDS)
def test_help_texts(name: str, understand: Callable) -> None:
    module = importlib.import_module(f'effformer_dense.commands.{name.replace("-", "_")}')
    texts = [
        value.__doc__ or '' for value in vars(module).values() if getattr(value, '__module__', '') == module.__name__
    ]
    shown = [line for text in texts for line in text.splitlines() if line.startswith('        COMMAND')]
    found = [one for line in shown for one in in_lines(line.replace('COMMAND', f'effdense {name}'))]
    assert found
    assert [said for one in found if (said := understand(one))] == []


def test_what_is_not_understood_is_told(understand: Callable) -> None:
    shown = 'X=1 python tools/benchmark.py v2_s0 --against timm  # gone'
    text = f'So:\n```bash\n{shown}\n```\nor `effdense train --ampp`, or `effdense`.'
    block, mention = in_document(text)
    assert block == ('benchmark', ['v2_s0', '--against', 'timm']) and mention == ('train', ['--ampp'])
    assert '--against' in understand(block) and '--ampp' in understand(mention, True)
    assert command_of('effdense train C --amp ... ') is None and command_of("it's effdense train") is None
    assert command_of('cd x && tools/eval_ade20k.py a b > out') == ('eval-ade20k', ['a', 'b'])
    assert 'Required' in understand(('export', [])) and understand(('export', []), True) == ''
