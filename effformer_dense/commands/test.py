"""The command ``test``."""

from __future__ import annotations

from dataclasses import dataclass

import tyro

from ..options import ConfigOptions, EvaluationOptions


@dataclass(frozen=True)
class _Options(ConfigOptions):
    __doc__ = ConfigOptions.__doc__

    from_scratch: tyro.conf.Fixed[bool] = False  # those of training
    auto_scale_lr: tyro.conf.Fixed[bool] = False


def test(config: _Options, evaluation: EvaluationOptions, local_rank: int | None = None) -> None:
    """Evaluate a detector or segmentor on the test split of its config.

        COMMAND configs/maskrcnn_v2_s0_shapes.py work_dirs/maskrcnn_v2_s0_shapes --show-dir pictures
        COMMAND configs/semfpn_v2_l_ade20k.py CHECKPOINT --tta --save-segmentation-maps for_upload
        COMMAND configs/semfpn_v2_l_ade20k.py CHECKPOINT --window-px 512

    Args:
        local_rank: given by the older of torch's launchers, not by hand
    """
    from ..engine.runner import evaluate
    from ._process import adopt_local_rank, is_first, prepare_cpu

    adopt_local_rank(local_rank)
    prepare_cpu()
    metrics = evaluate(config, evaluation)
    if not is_first(config.launcher):
        return
    print('\n'.join(f'{name}: {value:.6f}' for name, value in metrics.items()))
    written = {
        'Checkpoint': evaluation.checkpoint,
        'Pictures': evaluation.show_dir,
        'Segmentation maps': evaluation.save_segmentation_maps,
    }
    for what, where in written.items():
        if where:
            print(f'{what}: {where}')
