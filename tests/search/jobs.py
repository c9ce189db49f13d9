"""Searches in small spaces, on a few shapes."""

from __future__ import annotations

from pathlib import Path

import effformer_dense
from effformer_dense.options import ConfigOptions, SearchOptions, TableOptions
from effformer_dense.search import run
from effformer_dense.search.job import Job
from effformer_dense.search.methods import Method
from effformer_dense.search.space import Space
from tests.helpers import PROJECT_ROOT, few_shapes
from tests.search.tables import made_up_table

TASK = f"""
_base_ = {{base!r}}
search = dict(space=dict(widths={{widths}}, depths={{depths}}, ratios={{ratios}}, attention={{attention}}))
{few_shapes(training=8, validation=4)}
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(type={{family!r}}, arch={{arch!r}}),
    neck=dict(in_channels={{widths_of}}),
)
train_cfg = dict(max_iters=3, val_interval=3)
param_scheduler = []
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=3))
"""
SPACE = dict(widths=((8,), (16,), (24, 32), (24, 48)), depths=(1, 1, 2, 2), ratios=(2, 3), attention=(0, 0, 1, 1))
SPACE_V1 = dict(widths=((16,), (16,), (16, 32), (32, 48)), depths=(1, 1, 2, 2), ratios=(4,), attention=(0, 0, 1, 1))
SHARE = 0.7


def make_job(method: Method, content: dict, arch: str, tmp_path: Path, monkeypatch) -> Job:
    """A search in a small space, whose latencies are made up."""
    own = {key: [list(v) if isinstance(v, tuple) else v for v in value] for key, value in content.items()}
    in_channels = list(getattr(effformer_dense, method.family)(arch=arch).out_channels)
    base, root = str(PROJECT_ROOT / 'configs' / 'semfpn_v2_s0_shapes.py'), str(tmp_path / 'shapes')
    config = tmp_path / 'task.py'
    config.write_text(TASK.format(base=base, root=root, family=method.family, arch=arch, widths_of=in_channels, **own))
    table = made_up_table(Space.from_config(method.family, own))
    folder = tmp_path / 'search'
    folder.mkdir()
    table.save(folder / 'table.json')
    monkeypatch.setattr(run, 'measure_rows', lambda rows, *_: [table.predict(row) for row in rows])
    options = SearchOptions(latency_share=SHARE, pictures=4, batches=1, score='loss')
    return Job(method, ConfigOptions(config, work_dir=folder), (64, 64), options, TableOptions())
