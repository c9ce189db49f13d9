"""A search's folder: whose it is, what it goes on with, and what others may take from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmseg')

from effformer_dense.errors import UserError
from effformer_dense.search import training
from effformer_dense.search.job import Job, space_named, with_own_table
from effformer_dense.search.run import search
from effformer_dense.search.space import Space
from effformer_dense.variants import V1, V2
from tests.helpers import PROJECT_ROOT


def test_a_search_goes_on_with_the_table_that_it_was_given(job: Job, tmp_path: Path, monkeypatch) -> None:
    """It may be of another machine, by whose times no network of this one is to be judged."""
    given = tmp_path / 'given.json'
    job.table.rename(given)
    monkeypatch.setattr(training, 'train', _stop)
    with pytest.raises(KeyboardInterrupt):
        search(replace(job, search=replace(job.search, table=given)))
    again = with_own_table(replace(job, search=replace(job.search, resume=True)))
    assert again.search.table == job.table and not again.times_whole_networks
    with pytest.raises(KeyboardInterrupt):
        search(again)
    assert not with_own_table(again).times_whole_networks


def test_a_supernet_that_is_not_done_is_not_used(job: Job, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(training, 'train', _stop)
    with pytest.raises(KeyboardInterrupt):
        search(job)
    job.supernet.mkdir()
    torch.save({}, job.supernet / 'iter_1.pth')
    resumed = replace(job, search=replace(job.search, resume=True))
    with pytest.raises(UserError, match=r'holds another search: size.*: --table .*table.json\.') as told:
        search(replace(resumed, size=(96, 96)))
    assert '--supernet' not in str(told.value)
    other = replace(job.config, work_dir=tmp_path / 'other')
    for path in (job.supernet, job.supernet / 'iter_1.pth'):
        given = replace(job.search, supernet=path, table=job.table)
        with pytest.raises(UserError, match=r'its training has not ended. First go on with the search of .*: --resume'):
            search(replace(job, config=other, search=given))
        (tmp_path / 'other' / 'search.json').unlink()
    (job.supernet / 'trained').touch()
    with pytest.raises(UserError, match=r': --table .*table.json --supernet .*supernet\.'):
        search(replace(resumed, size=(96, 96)))


def test_a_config_that_was_edited_is_another_search(job: Job, monkeypatch) -> None:
    monkeypatch.setattr(training, 'train', _stop)
    with pytest.raises(KeyboardInterrupt):
        search(job)
    resumed = replace(job, search=replace(job.search, resume=True))
    with pytest.raises(KeyboardInterrupt):
        search(resumed)
    config = Path(job.config.config)
    config.write_text(config.read_text().replace('max_iters=3', 'max_iters=4'))
    with pytest.raises(UserError, match='holds another search: content'):
        search(resumed)


def _stop(*_) -> None:
    raise KeyboardInterrupt


def test_spaces_have_names() -> None:
    assert space_named('v1') == Space.from_config(V1) and space_named('v2') == Space.from_config(V2)
    config = PROJECT_ROOT / 'configs' / 'search' / 'joint_v2_shapes.py'
    assert space_named(str(config)).widths == ((16, 24, 32), *space_named(str(config)).widths[1:])
    with pytest.raises(UserError, match='No search knows networks of EdgeViT'):
        space_named(str(PROJECT_ROOT / 'configs' / 'semfpn_edgevit_xxs_ade20k.py'))
    with pytest.raises(UserError, match=r"Space must be one of v2, v1, the config of a search; got 'v3'"):
        space_named('v3')
