"""The study of distillation: its intervals, what each arm is told, and all parts in small."""

from __future__ import annotations

import json
import math
from pathlib import Path
from unittest import mock

import pytest

pytest.importorskip('mmseg')

from effformer_dense.studies import trainings
from effformer_dense.studies.distillation.arms import ARMS, arm_training, teacher_training
from effformer_dense.studies.distillation.report import difference, write_report
from effformer_dense.studies.distillation.run import run
from effformer_dense.studies.distillation.settings import QUICK, Settings

NAMES = [arm.name for arm in ARMS]


def test_differences_have_welchs_interval() -> None:
    """By hand: means 0.6 and 0.5, variances 0.01 and 0.0004 of three each; t of 2.16 degrees of freedom is 4.005."""
    left, right = [0.5, 0.6, 0.7], [0.48, 0.5, 0.52]
    error = math.sqrt(0.01 / 3 + 0.0004 / 3)
    found = difference(left, right)
    assert found.mean == pytest.approx(0.1)
    assert (found.high - found.mean) / error == pytest.approx(4.005, abs=0.01)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)
    even = difference([0.5, 0.5], [0.4, 0.4])
    assert even.low == even.mean == even.high == pytest.approx(0.1)


def test_arms_differ_in_what_they_say(tmp_path: Path) -> None:
    settings = Settings()
    short, long, *taught = (arm_training(settings, tmp_path, arm, 1) for arm in ARMS)
    assert 'train_cfg.max_iters=1200' in short.overrides and 'train_cfg.max_iters=2400' in long.overrides
    assert all(one.overrides == short.overrides for one in taught), 'the same training on the same labels'
    assert all('train_dataloader.dataset.indices=100' in one.overrides for one in (short, long, *taught))
    assert len({one.place(tmp_path) for one in (short, long, *taught)}) == len(ARMS)
    teacher = teacher_training(settings, tmp_path)
    assert not any('indices' in override for override in teacher.overrides), 'it sees all labels'
    assert "arch='s2'" in teacher.config.read_text()


def test_the_report_has_every_comparison(tmp_path: Path) -> None:
    scores = {'teacher': [0.8]} | {name: [0.5 + 0.1 * place, 0.52 + 0.1 * place] for place, name in enumerate(NAMES)}
    results = write_report(tmp_path, Settings(), scores)
    assert json.loads((tmp_path / 'results.json').read_text()) == json.loads(json.dumps(results))
    logits = results['differences']['logits, then labels - labels, twice as long']
    assert logits['mean'] == pytest.approx(0.2) and logits['low'] < 0.2 < logits['high']
    table = (tmp_path / 'tables.md').read_text()
    assert '| teacher | 0.800 | 0.800 |' in table and '| labels | 0.510 | 0.500, 0.520 |' in table
    assert (tmp_path / 'scores.png').stat().st_size > 5000


def test_the_documentation_has_the_tables_of_the_published_results(tmp_path: Path) -> None:
    docs = Path(__file__).parents[2] / 'docs'
    published = json.loads((docs / 'studies' / 'distillation.json').read_text())
    again = write_report(tmp_path, Settings(), published['scores'])
    assert json.loads(json.dumps(again)) == published
    assert set((tmp_path / 'tables.md').read_text().splitlines()) <= set(
        (docs / 'distillation.md').read_text().splitlines()
    )


@pytest.mark.slow
def test_every_part_and_on_after_an_interruption(tmp_path: Path) -> None:
    settings, folder = QUICK, tmp_path / 'study'
    seen: list[str] = []

    def train(options, *others):
        seen.append(f'{options.work_dir.parent.name}: {" ".join(options.cfg_options)}')
        return real(options, *others)

    real = trainings.train
    with mock.patch.object(trainings, 'train', train):
        results = run(settings, folder)
        assert set(results['scores']) == {'teacher', *NAMES}
        names = [line.partition(':')[0] for line in seen]
        alone = [f'{name}_{seed}' for name in ('labels', 'labels_twice_as_long') for seed in (0, 1)]
        assert names[:5] == ['teacher_0', *alone]
        lesson, labels = (
            next(line for line in seen if line.startswith(f'logits_then_labels{end}:')) for end in ('_lesson_1', '_1')
        )
        assert 'distill.segmentor.checkpoint' in lesson and 'indices' not in lesson
        assert 'load_from=' in labels and 'distill.' not in labels and 'indices=4' in labels
        # Only the teacher's weights are left; and nothing is trained again but what was lost.
        assert {path.parent.parent.name for path in folder.rglob('*.pth')} == {'teacher_0'}
        (folder / 'trainings' / 'features_then_labels_0' / 'score.json').unlink()
        seen.clear()
        assert run(settings, folder) == results
        again = [line.partition(':')[0] for line in seen]
        assert again == ['features_then_labels_lesson_0', 'features_then_labels_0']
