"""The whole search on a few pictures: what it leaves, how it goes on, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.registry import MODELS

from effformer_dense.commands.cli import parse_and_call
from effformer_dense.config.load import load_config
from effformer_dense.engine.open import open_config
from effformer_dense.engine.runner import evaluate, train
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions, EvaluationOptions, SearchOptions, TableOptions
from effformer_dense.rows import to_arch
from effformer_dense.search import joint
from effformer_dense.search.joint import Job, extract, search_jointly
from effformer_dense.search.space import Space
from effformer_dense.search.walk import read_path
from effformer_dense.variants import V2
from tests.helpers import PROJECT_ROOT
from tests.search.spaces import SMALL_V2
from tests.search.tables import made_up_table

TASK = """
_base_ = {base!r}
search = dict(space=dict(widths={widths}, depths={depths}, ratios={ratios}, attention={attention}))
data_root = {root!r}
loader = dict(batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(data_root=data_root, shapes=dict(splits=dict(training=8, validation=4), size_px=64, seed=0)))
train_dataloader = loader
val_dataloader = loader
test_dataloader = val_dataloader
model = dict(data_preprocessor=dict(size=(64, 64)))
train_cfg = dict(max_iters=3, val_interval=3)
param_scheduler = []
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=3))
"""
SHARE = 0.55


@pytest.fixture
def job(tmp_path: Path, monkeypatch) -> Job:
    config = tmp_path / 'task.py'
    own = {key: [list(v) if isinstance(v, tuple) else v for v in value] for key, value in SMALL_V2.items()}
    config.write_text(
        TASK.format(base=str(PROJECT_ROOT / 'configs' / 'semfpn_v2_s0_shapes.py'), root=str(tmp_path / 'shapes'), **own)
    )
    space = Space.from_config(V2, own)
    table = made_up_table(space)
    folder = tmp_path / 'search'
    folder.mkdir()
    table.save(folder / 'table.json')
    monkeypatch.setattr(joint, 'measure_rows', lambda rows, *_: [table.predict(row) for row in rows])
    search = SearchOptions(latency_share=SHARE, pictures=4, batches=1, score='loss')
    return Job(ConfigOptions(config, work_dir=folder), (64, 64), search, TableOptions())


@pytest.mark.slow
def test_what_a_search_leaves_is_an_ordinary_network(job: Job, tmp_path: Path) -> None:
    notes: list[str] = []
    found = search_jointly(job, notes.append)
    folder = job.folder
    records = read_path(folder / 'path.jsonl')
    table = made_up_table(Space.from_config(V2, SMALL_V2))
    assert records[-1].latency_ms <= SHARE * table.predict(records[0].state.row) < records[-2].latency_ms
    assert all((folder / name).stat().st_size > 1000 for name in ('found.png', 'path.png', 'found.pth'))
    assert any('Measured' in note for note in notes)

    cfg = load_config(ConfigOptions(found, from_scratch=True))
    assert dict(cfg.model.backbone.arch) == to_arch(records[-1].state.row)
    model = MODELS.build(cfg.model)
    state = torch.load(folder / 'found.pth')['state_dict']
    assert not any(model.load_state_dict(state, strict=True))
    assert (folder / 'found.pth').stat().st_size < 1.2 * sum(v.nbytes for v in state.values()) + 200_000

    scores = evaluate(ConfigOptions(found, work_dir=tmp_path / 'test'), EvaluationOptions(folder / 'found.pth'))
    assert 0 <= scores['mIoU'] <= 1
    train(ConfigOptions(found, work_dir=tmp_path / 'trained'))
    assert (tmp_path / 'trained' / 'iter_3.pth').exists()

    # Resumed from the middle, it comes to the same.
    before = (folder / 'path.jsonl').read_text()
    (folder / 'path.jsonl').write_text(''.join(line + '\n' for line in before.splitlines()[:3]))
    resumed = replace(job, search=replace(job.search, resume=True))
    search_jointly(resumed, notes.append)
    assert (folder / 'path.jsonl').read_text() == before

    # Another point of the path.
    wanted = records[2].latency_ms
    other = extract(folder / 'path.jsonl', wanted, notes.append)
    assert other.name == f'found_{wanted:g}ms.py' and other.with_suffix('.pth').exists()

    with pytest.raises(UserError, match='holds this search already: --resume'):
        search_jointly(job, notes.append)
    with pytest.raises(UserError, match='holds another search: pictures 4 there, 3 here'):
        search_jointly(replace(resumed, search=replace(resumed.search, pictures=3)), notes.append)


def test_targets_and_tables_are_checked_before_any_training(job: Job, monkeypatch) -> None:
    monkeypatch.setattr(joint, 'train', lambda *_: pytest.fail('trained'))
    low = replace(job, search=replace(job.search, latency_share=0.0, latency_ms=0.1))
    with pytest.raises(UserError, match=r'--latency-ms 0.1 is below the smallest network'):
        search_jointly(low)
    (job.folder / 'search.json').unlink()
    with pytest.raises(UserError, match='other conditions: height 64 there, 128 here; width 64 there, 128 here'):
        search_jointly(replace(job, size=(128, 128)))


def test_the_supernet_of_a_config_has_its_data_and_its_largest_network(job: Job) -> None:
    cfg = open_config(job.config)
    space = Space.from_config(V2, cfg.search.space)
    supernet = joint.to_supernet(cfg, space)
    assert supernet.model.model.neck.in_channels == [16, 24, 32, 48]
    assert cfg.model.neck.in_channels == [32, 48, 96, 176]  # not changed
    sandwich = MODELS.build(supernet.model)
    assert sandwich.supernet.space == space and sandwich.supernet.out_channels == (16, 24, 32, 48)


@pytest.mark.parametrize('name', ['joint_v2_shapes', 'joint_v2_ade20k', 'joint_v2_coco'])
def test_configs_of_searches_build_their_supernets(name: str) -> None:
    pytest.importorskip('mmdet')
    cfg = open_config(ConfigOptions(PROJECT_ROOT / 'configs' / 'search' / f'{name}.py', from_scratch=True))
    space = Space.from_config(V2, (cfg.get('search') or {}).get('space'))
    with torch.device('meta'):
        sandwich = MODELS.build(joint.to_supernet(cfg, space).model)
    assert sandwich.supernet.space == space


@pytest.mark.parametrize(
    'arguments, said',
    [
        (['jont', 'x.py'], "Did you mean 'joint'"),
        (['joint', 'semfpn_v2_s0_shapes', '--size', '64'], 'Name --latency-ms, such as 60, or --latency-share'),
        (['joint', 'x.py', '--latency-ms', '5', '--latency-share', '0.5'], 'Name --latency-ms'),
        (['joint', 'x.py', '--latency-share', '2'], '--latency-share 2.0 is not between 0 and 1'),
        (['joint', 'semfpn_v1_l1_ade20k', '--latency-ms', '5'], 'joint search is that of EfficientFormerV2'),
        (['extract', 'nowhere.jsonl', '--latency-ms', '5'], 'nowhere.jsonl is not there'),
        (['extract', 'nowhere.jsonl'], '--latency-ms is missing'),
        (['table', 'v2', '--rounds', '0'], '--rounds 0 is not 1 or more'),
        (['table', 'v2', '--size', 'big'], "got 'big'"),
    ],
)
def test_mistakes_at_the_command_line(arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_and_call('search', arguments)
