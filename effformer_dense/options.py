"""What the commands can be told. The command line is made of these classes: names, types, defaults and help.

Neither torch nor MMEngine is imported here, so that ``--help`` is there at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import UserError


@dataclass(frozen=True)
class ConfigOptions:
    """What changes a config.

    Attributes:
        config: config file; or the name of one of ours, such as maskrcnn_v2_l_coco
        cfg_options: change entries of the config, e.g. model.backbone.norm_eval=True train_dataloader.batch_size=4
        work_dir: where to write, instead of work_dirs/CONFIG
        data_root: folder of the data set, in place of the config's data_root
        from_scratch: no pretrained weights
        amp: mixed precision, which needs a GPU
        auto_scale_lr: scale the learning rate with GPUs x batch size
        window_px: segmentors: predict in windows of this side, in px of the resized picture (docs/ade20k.md)
        stride_px: from window to window, instead of 2/3 of the window
        launcher: who starts the processes, if there are several
    """

    config: Path
    cfg_options: tuple[str, ...] = ()
    work_dir: Path | None = None
    data_root: Path | None = None
    from_scratch: bool = False
    amp: bool = False
    auto_scale_lr: bool = False
    window_px: int | None = None
    stride_px: int | None = None
    launcher: Literal['none', 'pytorch', 'slurm', 'mpi'] = 'none'


@dataclass(frozen=True)
class EvaluationOptions:
    """What testing needs besides the config.

    Attributes:
        checkpoint: a file, or the work dir of a training: its last checkpoint
        show_dir: write pictures of ground truth beside predictions there
        show_count: how many pictures at most
        score_threshold: lowest score of a drawn instance
        save_segmentation_maps: segmentors: write predicted maps there as PNGs, numbered as the annotations are
        tta: segmentors: average over scales and flips
        fuse: fold norms into convolutions: faster, same results
        compile: torch.compile the backbone: a minute or less at the start, then faster
    """

    checkpoint: Path
    show_dir: Path | None = None
    show_count: int = 20
    score_threshold: float = 0.5
    save_segmentation_maps: Path | None = None
    tta: bool = False
    fuse: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        if self.show_count < 0:
            raise UserError(f'--show-count {self.show_count} is negative.')
        _check_threshold(self.score_threshold)


@dataclass(frozen=True)
class InferOptions:
    """What inference needs besides the config.

    Attributes:
        checkpoint: a file, or the work dir of a training: its last checkpoint
        pictures: a picture, a folder, or a glob pattern in quotes
        out_dir: where results go
        score_threshold: lowest score of a drawn instance; predictions.json has all that the config's test_cfg keeps
        device: torch device, instead of a GPU if there is one
        skip_bad: leave out pictures that cannot be used, instead of stopping
        fuse: fold norms into convolutions: faster, same results
        compile: torch.compile the backbone: a minute or less at the start, then faster
    """

    checkpoint: Path
    pictures: str
    out_dir: Path = Path('outputs')
    score_threshold: float = 0.5
    device: str | None = None
    skip_bad: bool = False
    fuse: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        _check_threshold(self.score_threshold)


@dataclass(frozen=True)
class OwnDataOptions:
    """How a data set of one's own is read and split, and what is written of it.

    Attributes:
        out: where to write, instead of FOLDER_prepared beside it
        format: what the folder holds, where it looks like several
        classes: names of the classes in order
        colours: file of class names with the colours or numbers that they have in segmentation maps
        ignore: values of segmentation maps that mean nothing, besides 255
        val_fraction: share of pictures for validation, where there are no splits
        seed: of that choice
        strict: any record that had to be changed is an error
        masks_from_boxes: objects without a mask get their box as one
        from_scratch: the config starts without pretrained weights
        base: config to build on, instead of the one that fits the data
        outside_root: follow links and names of pictures that lead out of the folder
        max_pixels: largest picture that is read
    """

    out: Path | None = None
    format: Literal['coco', 'yolo', 'voc', 'maps'] | None = None
    classes: tuple[str, ...] = ()
    colours: Path | None = None
    ignore: tuple[int, ...] = ()
    val_fraction: float = 0.2
    seed: int = 0
    strict: bool = False
    masks_from_boxes: bool = False
    from_scratch: bool = False
    base: str | None = None
    outside_root: bool = False
    max_pixels: int = 178_956_970

    def __post_init__(self) -> None:
        if not 0 < self.val_fraction < 1:
            raise UserError(f'--val-fraction {self.val_fraction} is not between 0 and 1.')
        if self.max_pixels < 1:
            raise UserError(f'--max-pixels {self.max_pixels} is not 1 or more.')
        double = next((name for place, name in enumerate(self.classes) if name in self.classes[:place]), None)
        if double is not None:
            raise UserError(f'--classes has {double!r} twice.')


@dataclass(frozen=True)
class ShowOptions:
    """How a data set is shown.

    Attributes:
        out_dir: where the page and its pictures go
        per_class: pictures of each class at most
    """

    out_dir: Path = Path('shown')
    per_class: int = 4

    def __post_init__(self) -> None:
        if self.per_class < 1:
            raise UserError(f'--per-class {self.per_class} is not 1 or more.')


@dataclass(frozen=True)
class BenchmarkOptions:
    """How the cases of a benchmark are measured.

    Attributes:
        batch: images at once
        precision: bf16 and fp16 by autocast
        device: cpu, cuda, cuda:1 ...
        train: time forward and backward pass of backbones
        with_cp: with --train: recompute blocks in the backward pass
        threads: CPU threads, instead of one per core
        repeats: timed steps per row
    """

    batch: int = 1
    precision: Literal['fp32', 'bf16', 'fp16'] = 'fp32'
    device: str = 'cpu'
    train: bool = False
    with_cp: bool = False
    threads: int | None = None
    repeats: int = 10

    def __post_init__(self) -> None:
        for name in ('batch', 'threads', 'repeats'):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UserError(f'--{name} {getattr(self, name)} is not 1 or more.')


def _check_threshold(value: float) -> None:
    if not 0 <= value <= 1:
        raise UserError(f'--score-threshold {value} is not between 0 and 1.')
