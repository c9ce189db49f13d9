"""V2's ablation: networks of our steps weigh what the paper says of its own."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.registry import MODELS

from effformer_dense.benchmark.cases import Case
from effformer_dense.benchmark.work import count_work
from effformer_dense.config.load import load_config
from effformer_dense.engine.open import open_config
from effformer_dense.options import BenchmarkOptions, ConfigOptions
from effformer_dense.studies.ablation import STEPS, classifier_parameters, config_of, last_width, run


@pytest.mark.parametrize('step', STEPS, ids=lambda step: step.config)
def test_parameters_and_operations_are_those_of_the_paper(step) -> None:
    config = config_of(step)
    with torch.device('meta'):
        backbone = MODELS.build(load_config(ConfigOptions(config, from_scratch=True)).model.backbone)
    parameters = sum(p.numel() for p in backbone.parameters()) + classifier_parameters(last_width(config))
    assert parameters / 1e6 == pytest.approx(step.params_m, rel=0.01)
    gmacs = count_work(Case(str(config), 224, 224, part='backbone')).flops / 2e9
    assert gmacs == pytest.approx(step.gmacs, rel=0.04)


@pytest.mark.parametrize('step', STEPS, ids=lambda step: step.config)
def test_each_step_builds_a_segmentor_that_learns(step) -> None:
    model = MODELS.build(open_config(ConfigOptions(config_of(step), from_scratch=True)).model).train()
    logits = model(torch.rand(2, 3, 64, 64), mode='tensor')
    assert logits.shape == (2, 6, 16, 16)
    logits.square().mean().backward()
    last = model.backbone.stages[-1].blocks[-1]
    assert all(p.grad is not None for p in last.parameters())


@pytest.mark.minutes
def test_one_command_measures_all_of_them(tmp_path) -> None:
    found = run((64, 64), BenchmarkOptions(threads=(1,), rounds=1), tmp_path)
    table = (tmp_path / 'ablation.md').read_text()
    assert len(found) == len(STEPS)
    for step in STEPS:
        row = next(line for line in table.splitlines() if line.startswith(f'| {step.config.replace("_", " ")} |'))
        assert f'| {step.params_m:.2f} |' in row and f'| {step.top_1:.1f} |' in row
