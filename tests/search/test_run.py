"""The whole search on a few pictures: what it leaves, how it goes on, what it refuses."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config
from mmengine.registry import MODELS

from effformer_dense.commands.cli import parse_and_call
from effformer_dense.config.datasets import datasets_of
from effformer_dense.config.load import load_config
from effformer_dense.engine.open import open_config
from effformer_dense.engine.runner import evaluate, train
from effformer_dense.errors import UserError
from effformer_dense.options import ConfigOptions, EvaluationOptions
from effformer_dense.rows import to_arch
from effformer_dense.search import run, training
from effformer_dense.search.job import Job
from effformer_dense.search.methods import JOINT, SLIM, Method
from effformer_dense.search.pictures import Trial
from effformer_dense.search.run import extract, search
from effformer_dense.search.scoring import Scorer
from effformer_dense.search.space import ACTIONS, PAPER_ACTIONS, Space
from effformer_dense.search.training import to_supernet
from effformer_dense.search.walk import read_path
from effformer_dense.variants import V1, V2
from tests.helpers import PROJECT_ROOT
from tests.search.jobs import SHARE, SPACE, SPACE_V1, make_job
from tests.search.tables import made_up_table


@pytest.mark.slow
def test_what_a_search_leaves_is_an_ordinary_network(job: Job, tmp_path: Path, monkeypatch) -> None:
    notes: list[str] = []
    too_slow = [1.1]  # as a whole, the first network that reaches the target by the table
    measured = run.measure_rows

    def measure(rows, *others):
        return [too_slow.pop() * target] if too_slow else measured(rows, *others)

    monkeypatch.setattr(run, 'measure_rows', measure)
    target = SHARE * made_up_table(Space.from_config(V2, SPACE)).predict(Space.from_config(V2, SPACE).largest.row)
    found = search(job, notes.append)
    folder = job.folder
    records = read_path(folder / 'path.jsonl')
    assert records[-1].latency_ms < records[-2].latency_ms <= target < records[-3].latency_ms
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
    train(ConfigOptions(found, ('optim_wrapper.optimizer.lr=1e-12',), work_dir=tmp_path / 'trained'))
    trained = torch.load(tmp_path / 'trained' / 'iter_3.pth', weights_only=False)['state_dict']
    for name, _ in model.named_parameters():  # it starts from them
        assert torch.allclose(trained[name], state[name], atol=1e-9), name

    # It is finished, and stays so.
    before = (folder / 'path.jsonl').read_text()
    resumed = replace(job, search=replace(job.search, resume=True))
    with monkeypatch.context() as patch:
        patch.setattr(run, 'make_scorer', lambda *_: pytest.fail('scored'))
        assert search(resumed, notes.append) == found
    assert 'This search is finished' in notes[-1]

    # Resumed from where it was found too slow, whatever the clock says now, it comes to the same; so from the middle.
    for lines in (len(records) - 1, 2):
        (folder / 'found.png').unlink()
        (folder / 'path.jsonl').write_text(''.join(line + '\n' for line in before.splitlines()[:lines]))
        too_slow += [1.1] if lines == 2 else []
        search(resumed, notes.append)
        assert (folder / 'path.jsonl').read_text() == before

    # Another point of the path.
    wanted = records[2].latency_ms
    other = extract(folder / 'path.jsonl', wanted, notes.append)
    assert other.name == f'found_{wanted:g}ms.py' and other.with_suffix('.pth').exists()

    with pytest.raises(UserError, match='holds this search already: --resume'):
        search(job, notes.append)
    with pytest.raises(UserError, match=r'holds another search: pictures 4 there, 3 here.*--supernet .*supernet'):
        search(replace(resumed, search=replace(resumed.search, pictures=3)), notes.append)
    table = replace(resumed.search, table=folder / 'table.json')
    with pytest.raises(UserError, match='holds another search: table None there'):
        search(replace(resumed, search=table), notes.append)


@pytest.mark.slow
def test_slimming_leaves_an_ordinary_network_of_the_other_family(tmp_path: Path, monkeypatch) -> None:
    job, notes = make_job(SLIM, SPACE_V1, 'l1', tmp_path, monkeypatch), []
    found = search(job, notes.append)
    records = read_path(job.folder / 'path.jsonl')
    target = SHARE * records[0].latency_ms
    assert records[0].state == Space.from_config(V1, SPACE_V1).largest
    assert records[-1].latency_ms <= target < records[-2].latency_ms
    assert all(before.latency_ms > after.latency_ms for before, after in pairwise(records))

    cfg = load_config(ConfigOptions(found, from_scratch=True))
    assert cfg.model.backbone.type == V1 and dict(cfg.model.backbone.arch) == to_arch(records[-1].state.row)
    state = torch.load(job.folder / 'found.pth')['state_dict']
    assert not any(MODELS.build(cfg.model).load_state_dict(state, strict=True))
    train(ConfigOptions(found, work_dir=tmp_path / 'trained'))
    assert (tmp_path / 'trained' / 'iter_3.pth').exists()
    other = extract(job.folder / 'path.jsonl', records[1].latency_ms, notes.append)
    assert other.with_suffix('.pth').exists()

    # Alphas were trained, and not moved by weight decay.
    supernet = torch.load(job.folder / 'supernet' / 'iter_3.pth', weights_only=False)['state_dict']
    alphas = [value for name, value in supernet.items() if '.alphas.' in name]
    assert len(alphas) == sum(SPACE_V1['depths']) and all(alpha.any() for alpha in alphas)
    supernet_cfg = Config.fromfile(job.folder / 'supernet.py')
    assert supernet_cfg.optim_wrapper.paramwise_cfg.custom_keys['backbone.alphas'].decay_mult == 0


@pytest.mark.slow
def test_a_given_table_and_supernet_are_used_and_kept_for_later(job: Job, tmp_path: Path, monkeypatch) -> None:
    notes: list[str] = []

    def busy(*_):
        raise UserError('This machine is busy')

    with monkeypatch.context() as patch:  # which is no reason to lose what was found
        patch.setattr(run, 'measure_rows', busy)
        search(job, notes.append)
    assert any('Not timed as a whole, taken by the table: This machine is busy' in note for note in notes)
    monkeypatch.setattr(training, 'train', lambda *_: pytest.fail('trained'))
    monkeypatch.setattr(run, 'measure_rows', lambda *_: pytest.fail('measured'))
    given = replace(
        job.search, table=job.folder / 'table.json', supernet=job.folder / 'supernet', latency_share=SHARE + 0.15
    )
    again = replace(job, config=replace(job.config, work_dir=tmp_path / 'again'), search=given)
    search(again, notes.append)
    first, second = (read_path(folder / 'path.jsonl') for folder in (job.folder, again.folder))
    assert first[: len(second)] == second and len(second) < len(first)
    assert extract(again.folder / 'path.jsonl', second[1].latency_ms, notes.append).exists()


@pytest.mark.slow
def test_under_torchrun_it_comes_to_what_one_process_comes_to(job: Job, tmp_path: Path) -> None:
    table, together = str(job.folder / 'table.json'), tmp_path / 'together'
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node=2', '--standalone']
    command += ['-m', 'effformer_dense', 'search', 'joint', str(job.config.config), '--size', '64', '--table', table]
    command += ['--latency-share', str(SHARE), '--score', 'loss', '--pictures', '4', '--batches', '1']
    command += ['--work-dir', str(together), '--launcher', 'pytorch']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(PROJECT_ROOT)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.count('Found: ') == 1, 'one of the processes tells it'
    search(replace(job, search=replace(job.search, table=Path(table), supernet=together / 'supernet')))
    one, two = (read_path(folder / 'path.jsonl') for folder in (job.folder, together))
    assert [record.state for record in two] == [record.state for record in one] and len(two) > 2
    assert [record.score for record in two] == pytest.approx([record.score for record in one], rel=1e-5)
    assert (together / 'found.pth').exists()


@pytest.mark.slow
@pytest.mark.parametrize('metric', ['loss', 'segm_mAP'])
def test_states_of_a_detectors_supernet_are_scored(tmp_path: Path, metric: str) -> None:
    pytest.importorskip('mmdet')
    root = str(tmp_path / 'shapes')
    options = [f'{split}_dataloader.dataset.data_root={root}' for split in ('train', 'val', 'test')]
    options += ['train_dataloader.dataset.shapes.splits.train=4', 'train_dataloader.dataset.shapes.splits.val=2']
    options += ['val_dataloader.dataset.shapes.splits.train=4', 'val_dataloader.dataset.shapes.splits.val=2']
    options += [f'val_evaluator.ann_file={root}/annotations/val.json']
    cfg = open_config(ConfigOptions(PROJECT_ROOT / 'configs' / 'maskrcnn_v2_s0_shapes.py', tuple(options)))
    for split in ('train', 'val'):
        datasets_of(cfg, split)[0].generate()
    space = Space.from_config(V2, SPACE)
    sandwich = MODELS.build(to_supernet(cfg, space, JOINT).model)
    sandwich.init_weights()
    scorer = Scorer(cfg, sandwich, Trial(2, 1, metric))
    states = [space.largest, *(space.random(random.Random(seed)) for seed in range(2))]
    scores = scorer.scores(states)
    scorer.stand_at(states[0])
    assert scorer.scores(states) == pytest.approx(scores, abs=1e-5)  # with stages that are shared, the same
    assert all(score < 0 for score in scores) if metric == 'loss' else all(0 <= score <= 1 for score in scores)
    with pytest.raises(UserError, match='computes no metric mIoU: it has coco/bbox_mAP'):
        Scorer(cfg, sandwich, Trial(2, 1, 'mIoU')).score(space.largest)


def test_targets_and_tables_are_checked_before_any_training(job: Job, monkeypatch) -> None:
    monkeypatch.setattr(training, 'train', lambda *_: pytest.fail('trained'))

    def given(**options) -> Job:
        return replace(job, search=replace(job.search, resume=True, **options))

    with pytest.raises(UserError, match=r'--latency-ms 0.1 is below the smallest network'):
        search(given(latency_share=0.0, latency_ms=0.1))
    # What decides on the walk may be put right, as long as there is none.
    space = Space.from_config(V2, SPACE)
    of_all, of_paper = (made_up_table(space).predict(space.least(actions).row) for actions in (ACTIONS, PAPER_ACTIONS))
    assert of_all < of_paper
    with pytest.raises(UserError, match=r'is below the smallest network that this search comes to'):
        search(given(latency_share=0.0, latency_ms=(of_all + of_paper) / 2, paper_actions=True))
    with pytest.raises(UserError, match=r'The config computes no metric mIuO: it has .*mIoU.*Name one of them'):
        search(given(score='mIuO'))
    with pytest.raises(UserError, match='holds another search: size'):
        search(replace(given(), size=(128, 128)))
    (job.folder / 'search.json').unlink()
    with pytest.raises(UserError, match='other conditions: height 64 there, 128 here; width 64 there, 128 here'):
        search(replace(job, size=(128, 128)))
    (job.folder / 'search.json').unlink()
    content = json.loads(job.table.read_text())
    content['entries'] = [entry for entry in content['entries'] if entry['kind'] != 'dual']
    job.table.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"does not cover the space of the search. The latency table has no 'dual'"):
        search(job)


def test_a_supernet_trains_whole(job: Job) -> None:
    """What keeps pretrained weights as they are would keep random ones."""
    options = ('model.backbone.frozen_stages=1', 'model.backbone.norm_eval=True')
    cfg = open_config(replace(job.config, cfg_options=options))
    sandwich = MODELS.build(to_supernet(cfg, Space.from_config(V2, cfg.search.space), JOINT).model).train()
    assert all(parameter.requires_grad for parameter in sandwich.supernet.parameters())
    assert all(module.training for module in sandwich.supernet.modules() if 'Norm' in type(module).__name__)
    assert cfg.model.backbone.frozen_stages == 1, 'the network that is found is trained as the config says'


def test_tables_of_more_threads_than_there_are_can_be_read(tmp_path: Path, capsys) -> None:
    space = Space.from_config(V2)
    table = made_up_table(space, 512, 512)
    replace(table, conditions=replace(table.conditions, threads=4096)).save(tmp_path / 'table.json')
    arguments = ['table', 'v2', '--threads', '4096', '--out']
    parse_and_call('search', [*arguments, str(tmp_path / 'table.json'), '--fits', '1e9'])
    assert 'v2_s0' in capsys.readouterr().out
    with pytest.raises(UserError, match=r'--threads 4096 is more than the .* cores of this machine'):
        parse_and_call('search', [*arguments, str(tmp_path / 'new.json')])


def test_the_supernet_of_a_config_has_its_data_and_its_largest_network(job: Job) -> None:
    cfg = open_config(job.config)
    space = Space.from_config(V2, cfg.search.space)
    supernet = to_supernet(cfg, space, JOINT)
    assert supernet.model.model.neck.in_channels == [8, 16, 32, 48]
    assert cfg.model.neck.in_channels == [32, 48, 96, 176]  # not changed
    sandwich = MODELS.build(supernet.model)
    assert sandwich.supernet.space == space and sandwich.supernet.out_channels == (8, 16, 32, 48)


@pytest.mark.slow
@pytest.mark.parametrize('method', [JOINT, SLIM], ids=lambda method: method.name)
@pytest.mark.parametrize('task', ['shapes', 'ade20k', 'coco'])
def test_configs_of_searches_build_their_supernets(method: Method, task: str) -> None:
    pytest.importorskip('mmdet')
    name = f'{method.name}_{"v2" if method.family == V2 else "v1"}_{task}.py'
    cfg = open_config(ConfigOptions(PROJECT_ROOT / 'configs' / 'search' / name, from_scratch=True))
    space = Space.from_config(method.family, (cfg.get('search') or {}).get('space'))
    with torch.device('meta'):
        trained = MODELS.build(to_supernet(cfg, space, method).model)
    assert type(trained) is method.training and trained.supernet.space == space


@pytest.mark.parametrize(
    'arguments, said',
    [
        (['jont', 'x.py'], "Did you mean 'joint'"),
        (['joint', 'semfpn_v2_s0_shapes', '--size', '64'], 'Name --latency-ms, such as 60, or --latency-share'),
        (['joint', 'x.py', '--latency-ms', '5', '--latency-share', '0.5'], 'Name --latency-ms'),
        (['joint', 'x.py', '--latency-share', '2'], '--latency-share 2.0 is not between 0 and 1'),
        (
            ['joint', 'semfpn_v1_l1_ade20k', '--latency-ms', '5'],
            'joint searches for networks of EfficientFormerV2.*: slim',
        ),
        (
            ['slim', 'semfpn_v2_s0_ade20k', '--latency-ms', '5'],
            'slim searches for networks of EfficientFormerV1.*: joint',
        ),
        (['slim', 'semfpn_edgevit_xxs_ade20k', '--latency-ms', '5'], 'of the config is EdgeViT'),
        (['slim', 'x.py', '--latency-ms', '5', '--paper-actions'], 'nrecognized options: --paper-actions'),
        (['extract', 'nowhere.jsonl', '--latency-ms', '5'], 'nowhere.jsonl is not there'),
        (['extract', 'nowhere.jsonl'], '--latency-ms is missing'),
        (['table', 'v2', '--rounds', '0'], '--rounds 0 is not 1 or more'),
        (['table', 'v2', '--validate', '1'], '--validate 1 is too few to tell an order'),
        (['table', 'v2', '--device', 'cdua', '--out', 'nowhere.json'], "got 'cdua'"),
        (['table', 'v2', '--size', 'big'], "got 'big'"),
    ],
)
def test_mistakes_at_the_command_line(arguments: list[str], said: str, capsys) -> None:
    try:
        parse_and_call('search', arguments)
    except UserError as error:
        told = str(error)
    except SystemExit:  # the parser tells what an option's class refuses, in a box
        told = ' '.join(re.sub('[│╭╮╰╯─]', ' ', capsys.readouterr().err).split())
    assert re.search(said, told), told
