"""The command ``search``, which has several steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..errors import UserError, choice_error
from ..files import check_output_file
from ..invocation import command, spelled
from ..options import ConfigOptions, SearchOptions, TableOptions
from ._sizes import to_pixels

_Size = Annotated[str, tyro.conf.arg(metavar='SIDE|HEIGHTxWIDTH')]


@dataclass(frozen=True)
class _TaskOptions(ConfigOptions):
    __doc__ = ConfigOptions.__doc__

    config: tyro.conf.Positional[Path] = tyro.MISSING
    window_px: tyro.conf.Fixed[int | None] = None
    stride_px: tyro.conf.Fixed[int | None] = None
    data_root: tyro.conf.Fixed[Path | None] = None


@dataclass(frozen=True)
class _SlimOptions(SearchOptions):
    __doc__ = SearchOptions.__doc__

    paper_actions: tyro.conf.Fixed[bool] = False


def variant(arguments: Sequence[str]) -> Callable[..., None]:
    """The function of a step."""
    steps: dict[str, Callable[..., None]] = {'table': table, 'joint': joint, 'slim': slim, 'extract': extract}
    if not arguments or arguments[0] in ('-h', '--help'):
        return overview
    if arguments[0] not in steps:
        raise choice_error('Step of search', arguments[0], steps)
    return steps[arguments[0]]


def overview(step: tyro.conf.Positional[Literal['table', 'joint', 'slim', 'extract']]) -> None:
    """A network for your picture size and your machine, found as those of EfficientFormer V1 and V2 were.

        COMMAND table v2 --size 512x512 --out table.json      # how long any row takes on this machine
        COMMAND joint CONFIG --size 512x512 --latency-ms 60    # search for one of V2's kind
        COMMAND slim CONFIG --size 512x512 --latency-ms 60     # search for one of V1's kind
        COMMAND extract path.jsonl --latency-ms 45             # another network of the same search

    Args:
        step: COMMAND STEP --help has its options
    """


def table(
    step: tyro.conf.Positional[Literal['table']],
    space: tyro.conf.Positional[str],
    measuring: TableOptions,
    size: _Size = '512x512',
    out: Path = Path('latency_table.json'),
    fits: float | None = None,
) -> None:
    """How long any network of a family takes on this machine, from parts measured inside whole networks.

        COMMAND table v2 --size 800x1344 --out table.json
        COMMAND table configs/search/joint_v2_shapes.py --size 128 --out table.json
        COMMAND table v2 --out table.json --fits 60     # published rows of a table that is there

    Args:
        step: this one
        space: all networks of v1 or v2 that a search comes to; or the config of a search, for those of its space
        size: px
        out: file to write; one that is there is read instead, if it is of the same size, device and threads
        fits: list the published rows that take at most so many ms
    """
    from ..search.job import space_named
    from ..search.latency import Conditions, LatencyTable
    from ..search.measuring import measure_table
    from ..search.result import published_latencies
    from ..search.timing import Effort

    networks, m = space_named(space), measuring
    conditions = Conditions(
        networks.family, *to_pixels(size), device=m.device, threads=m.threads, precision=m.precision
    )
    check_output_file(out)
    if out.exists():
        found = LatencyTable.load(out)
        found.conditions.check_equal(conditions, out)
    else:
        found = measure_table(networks, conditions, Effort(m.rounds, m.validate), _note)
        found.save(out)
    print(f'{out}: {len(found.entries)} entries. {found.validation or "Nobody has checked it."}')
    if fits is not None:
        rows = [(row, ms) for row, ms in published_latencies(found) if ms <= fits]
        print(
            '\n'.join(f'{row.key}  {ms:.1f} ms' for row, ms in rows) or f'No published row takes {fits:g} ms or less.'
        )


def joint(
    step: tyro.conf.Positional[Literal['joint']],
    config: _TaskOptions,
    search: SearchOptions,
    measuring: TableOptions,
    size: _Size = '512x512',
) -> None:
    """Search for the network of V2's kind that scores best within a latency: supernet, walk, config and weights.

        COMMAND joint configs/search/joint_v2_shapes.py --size 128 --latency-ms 9
        torchrun --nproc_per_node=8 tools/search.py joint CONFIG --size 512 --latency-ms 60 --table T --launcher pytorch

    Args:
        step: this one
        size: px, of the picture that the network should be fast on
    """
    _search('joint', config, size, search, measuring)


def slim(
    step: tyro.conf.Positional[Literal['slim']],
    config: _TaskOptions,
    search: _SlimOptions,
    measuring: TableOptions,
    size: _Size = '512x512',
) -> None:
    """Slim a network of V1's kind until it is fast enough: shares of blocks, walk, config and weights.

        COMMAND slim configs/search/slim_v1_shapes.py --size 128 --latency-ms 9
        torchrun --nproc_per_node=8 tools/search.py slim CONFIG --size 512 --latency-ms 60 --table T --launcher pytorch

    Args:
        step: this one
        size: px, of the picture that the network should be fast on
    """
    _search('slim', config, size, search, measuring)


def _search(method: str, config: ConfigOptions, size: str, search: SearchOptions, measuring: TableOptions) -> None:
    from ..search.job import Job
    from ..search.methods import METHODS
    from ..search.run import search as run
    from ._process import prepare_cpu

    prepare_cpu()
    found = run(Job(METHODS[method], config, to_pixels(size), search, measuring), _note)
    print(f'Train it further: {command("train")} {spelled(found)}')


def extract(
    step: tyro.conf.Positional[Literal['extract']], path: tyro.conf.Positional[Path], latency_ms: float = 0.0
) -> None:
    """Another network of a search that is done, without searching again.

        COMMAND extract work_dirs/search_NAME/path.jsonl --latency-ms 45

    Args:
        step: this one
        path: path.jsonl in the folder of the search
        latency_ms: the best network that takes at most so long
    """
    from ..search.run import extract as run

    if latency_ms <= 0:
        raise UserError('--latency-ms is missing: how long may the network take for one picture? Such as 45.')
    if not path.is_file():
        raise UserError(f'{path} is not there. It is path.jsonl in the folder of a search.')
    run(path, latency_ms, _note)


def _note(text: str) -> None:
    print(text, flush=True)
