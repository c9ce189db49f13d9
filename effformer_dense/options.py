"""What the commands can be told. The command line is made of these classes: names, types, defaults and help.

Neither torch nor MMEngine is imported here, so that ``--help`` is there at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import UserError
from .threads import available_cores
from .variants import MIN_SIDE_PX

#: Larger pictures are refused unless an option raises it: a small file can hold as many pixels as it likes. Pillow
#: warns at half of it and refuses at it.
MAX_PIXELS = 178_956_970


@dataclass(frozen=True)
class ConfigOptions:
    """What changes a config.

    Attributes:
        config: config file; or the name of one of ours, such as maskrcnn_v2_l_coco
        cfg_options: change entries of the config, e.g. model.backbone.norm_eval=True train_dataloader.batch_size=4
        work_dir: where to write, instead of work_dirs/CONFIG
        data_root: folder of the data set, in place of the config's data_root
        from_scratch: no pretrained weights
        amp: mixed precision: fp16 with a scaler on a GPU, bf16 in training on a CPU
        auto_scale_lr: scale the learning rate with GPUs x batch size
        window_px: segmentors: predict in windows of this side, in px of the resized picture (docs/ade20k.md)
        stride_px: from window to window, instead of 2/3 of the window
        launcher: who starts the processes, if there are several
        outside_root: follow links and names of pictures that lead out of their folder
        max_pixels: largest picture that is read
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
    outside_root: bool = False
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        check_max_pixels(self.max_pixels)


@dataclass(frozen=True)
class TrainOptions:
    """What training needs besides the config.

    Attributes:
        seed: of all that is drawn at random, instead of the config's randomness.seed
        skip_bad_steps: leave out up to so many steps whose loss or gradients are not finite, instead of stopping
        bad_data: at a picture that cannot be read: stop, or take the next and list it in unreadable.txt
        accumulate: iterations whose gradients make one step, instead of optim_wrapper.accumulative_counts
        ema: evaluate and save a moving average of the weights, which keeps this share of itself at each iteration:
            0.9998, say, averages over 5,000
        fsdp: with --launcher: split weights, gradients and the optimizer's state over the processes, for less memory
    """

    seed: int | None = None
    skip_bad_steps: int = 0
    bad_data: Literal['fail', 'skip'] = 'fail'
    accumulate: int | None = None
    ema: float | None = None
    fsdp: bool = False

    def __post_init__(self) -> None:
        if self.seed is not None and not 0 <= self.seed < 2**32:
            raise UserError(f'--seed {self.seed} is not a whole number from 0 to 2**32 - 1.')
        if self.skip_bad_steps < 0:
            raise UserError(f'--skip-bad-steps {self.skip_bad_steps} is negative.')
        if self.accumulate is not None and self.accumulate < 1:
            raise UserError(f'--accumulate {self.accumulate} is not 1 or more.')
        if self.ema is not None and not 0 < self.ema < 1:
            raise UserError(f'--ema {self.ema} is not between 0 and 1; 0.9998, say.')


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
        precision: bf16 fuses, and computes backbone, neck and heads in bfloat16 where the processor or GPU has it
        compile: torch.compile the backbone: a minute or less at the start, then faster
    """

    checkpoint: Path
    show_dir: Path | None = None
    show_count: int = 20
    score_threshold: float = 0.5
    save_segmentation_maps: Path | None = None
    tta: bool = False
    fuse: bool = False
    precision: Literal['fp32', 'bf16'] = 'fp32'
    compile: bool = False

    def __post_init__(self) -> None:
        if self.show_count < 0:
            raise UserError(f'--show-count {self.show_count} is negative.')
        _check_threshold(self.score_threshold)
        for name in ('show_count', 'score_threshold'):  # which have no say in scores
            if self.show_dir is None and getattr(self, name) != type(self).__dataclass_fields__[name].default:
                raise UserError(f'--{name.replace("_", "-")} is for drawn pictures: name a folder by --show-dir.')


@dataclass(frozen=True)
class InferOptions:
    """What inference needs besides the config.

    Attributes:
        checkpoint: a file, or the work dir of a training: its last checkpoint
        pictures: a picture, a folder, a glob pattern in quotes, a video, a camera (camera:0) or a stream (rtsp://...)
        out_dir: where results go
        score_threshold: lowest score of a drawn instance; files of results have all that the model keeps
        device: torch device, instead of a GPU if there is one
        skip_bad: leave out pictures that cannot be used, instead of stopping
        no_pictures: write results alone, nothing to look at
        format: files of results. Detectors: tables (predictions.json with images, categories, annotations), coco
            (results.json for COCO.loadRes), csv. Segmentors: png (segmentation maps), coco, csv. Backbones: npz.
            Without it the first of these; none for videos
        ids: annotation file in COCO format that image ids and category ids of --format coco are taken from, instead of
            numbers as names of pictures
        frames: of a video or a camera, at most so many
        batch: pictures of one size that the network gets at once
        fuse: fold norms into convolutions: faster, same results
        precision: bf16 fuses, and computes backbone, neck and heads in bfloat16 where the processor or GPU has it
        compile: torch.compile the backbone: a minute or less at the start, then faster
    """

    checkpoint: Path
    pictures: str
    out_dir: Path = Path('outputs')
    score_threshold: float = 0.5
    device: str | None = None
    skip_bad: bool = False
    no_pictures: bool = False
    format: Literal['tables', 'coco', 'csv', 'png', 'npz'] | None = None
    ids: Path | None = None
    frames: int | None = None
    batch: int = 1
    fuse: bool = False
    precision: Literal['fp32', 'bf16'] = 'fp32'
    compile: bool = False

    def __post_init__(self) -> None:
        _check_threshold(self.score_threshold)
        for name in ('frames', 'batch'):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UserError(f'--{name} {getattr(self, name)} is not 1 or more.')
        if self.ids is not None and self.format != 'coco':
            raise UserError('--ids is for --format coco: other files name pictures by their paths.')


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, and as what.

    Attributes:
        checkpoint: a file, or the work dir of a training: its last checkpoint
        format: of the file; docs/deploy.md says which one for which device
        out: file to write, instead of CONFIG with the format's suffix in the current folder
        part: the whole model, or its backbone alone, to feature maps
        output: segmentors: a label for every pixel, or the logits of all classes
        size: height and width of the only pictures that the file will take, instead of any from 32 px
        precision: fp16 and bf16 where the format has them; the file takes and gives fp32 all the same
        pictures: picture or folder by which the file is compared with PyTorch, instead of the config's test data
    """

    checkpoint: Path
    format: Literal['onnx', 'openvino', 'coreml', 'pt2', 'executorch'] = 'onnx'
    out: Path | None = None
    part: Literal['model', 'backbone'] = 'model'
    output: Literal['labels', 'logits'] = 'labels'
    size: tuple[int, int] | None = None
    precision: Literal['fp32', 'fp16', 'bf16'] = 'fp32'
    pictures: str | None = None

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < MIN_SIDE_PX:
            raise UserError(f'--size {self.size[0]} {self.size[1]}: both sides must be at least {MIN_SIDE_PX} px.')


@dataclass(frozen=True)
class OwnDataOptions:
    """How a data set of one's own is read and split, and what is written of it.

    Attributes:
        out: where to write, instead of FOLDER_prepared beside it
        format: what the folder holds, where it looks like several
        classes: names of the classes in order
        colours: file of class names with the colours or numbers that they have in segmentation maps
        ignore: values of segmentation maps that mean nothing, besides 255; of coloured maps, names of classes
        val_fraction: share of pictures for validation, where there are no splits
        seed: of that choice
        strict: any record that is repaired, left out or doubtful is an error
        masks_from_boxes: objects without a mask get their box as one
        box_format: what the four numbers of a box in COCO files are, where they tell it not themselves
        from_scratch: the config starts without pretrained weights
        base: config to build on, instead of the one that fits the data
        outside_root: follow links and names of pictures that lead out of the folder
        max_pixels: largest picture that is read
    """

    out: Path | None = None
    format: Literal['coco', 'yolo', 'voc', 'labelme', 'via', 'maps'] | None = None
    classes: tuple[str, ...] = ()
    colours: Path | None = None
    ignore: tuple[str, ...] = ()
    val_fraction: float = 0.2
    seed: int = 0
    strict: bool = False
    masks_from_boxes: bool = False
    box_format: Literal['xywh', 'corners'] | None = None
    from_scratch: bool = False
    base: str | None = None
    outside_root: bool = False
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if not 0 < self.val_fraction < 1:
            raise UserError(f'--val-fraction {self.val_fraction} is not between 0 and 1.')
        check_max_pixels(self.max_pixels)
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
    """How the contenders of a benchmark are measured.

    Attributes:
        batch: images at once, where --sizes names none
        precision: one or several; in PyTorch, bf16 and fp16 by autocast, bf16 of fused models as in test and infer
        device: cpu, cuda, cuda:1 ...
        train: time forward and backward pass of backbones
        with_cp: with --train: recompute blocks in the backward pass
        threads: CPU threads, one or several numbers, instead of one per core
        rounds: in each, every contender is timed once
        published: checkout of the published code, for --modes published
    """

    batch: int = 1
    precision: tuple[Literal['fp32', 'bf16', 'fp16'], ...] = ('fp32',)
    device: str = 'cpu'
    train: bool = False
    with_cp: bool = False
    threads: tuple[int, ...] = ()
    rounds: int = 10
    published: Path | None = None

    def __post_init__(self) -> None:
        for name in ('batch', 'rounds'):
            if getattr(self, name) < 1:
                raise UserError(f'--{name} {getattr(self, name)} is not 1 or more.')
        for number in self.threads:
            if number < 1:
                raise UserError(f'--threads {number} is not 1 or more.')

    @property
    def thread_counts(self) -> tuple[int, ...]:
        """Numbers of CPU threads to measure with."""
        return self.threads or (available_cores(),)


@dataclass(frozen=True)
class TableOptions:
    """How a latency table is measured.

    Attributes:
        device: cpu, cuda, cuda:1 ...
        threads: of the CPU
        precision: bf16 where the processor or GPU has it
        rounds: in each, every network is timed once
        validate: networks outside the fit on which the table is checked
    """

    device: str = 'cpu'
    threads: int = 1
    precision: Literal['fp32', 'bf16'] = 'fp32'
    rounds: int = 7
    validate: int = 12

    def __post_init__(self) -> None:
        for name, least in (('threads', 1), ('rounds', 1), ('validate', 0)):
            if getattr(self, name) < least:
                raise UserError(f'--{name} {getattr(self, name)} is not {least} or more.')
        if self.validate in (1, 2):
            raise UserError(f'--validate {self.validate} is too few to tell an order: 3 or more, or 0 for no check.')


@dataclass(frozen=True)
class SearchOptions:
    """What a search is for, and how states are scored.

    Attributes:
        latency_ms: the network found takes at most so long for one picture, by the table and measured
        latency_share: or at most this share of what the largest network takes, such as 0.4
        params_m: and has at most so many millions of parameters
        memory_mib: and needs at most so many MiB for one picture, weights included, as counted (docs/search.md); memory
            then counts in the Mobile Efficiency Score too
        table: a latency table, perhaps of another machine, instead of one that is measured now
        supernet: work dir of a trained supernet of the same space, instead of one that is trained now
        pictures: of the validation split, on which states are scored
        batches: of training pictures, by which the statistics of norms are estimated
        score: end of a metric's name, such as mIoU; or loss for the negative loss; the usual metric of the task if not
            given
        paper_actions: the three actions of the paper alone: drop a block, narrow a stage, a smaller ratio
        resume: go on with a search that was interrupted
    """

    latency_ms: float = 0.0
    latency_share: float = 0.0
    params_m: float | None = None
    memory_mib: float | None = None
    table: Path | None = None
    supernet: Path | None = None
    pictures: int = 64
    batches: int = 4
    score: str | None = None
    paper_actions: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        if bool(self.latency_ms) == bool(self.latency_share):
            raise UserError(
                'How long may the network take for one picture? Name --latency-ms, such as 60, or --latency-share, '
                'such as 0.4 of what the largest network of the space takes.'
            )
        if not 0 <= self.latency_share < 1:
            raise UserError(f'--latency-share {self.latency_share} is not between 0 and 1.')
        for name in ('latency_ms', 'params_m', 'memory_mib'):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise UserError(f'--{name.replace("_", "-")} {value} is negative.')
        for name in ('pictures', 'batches'):
            if getattr(self, name) < 1:
                raise UserError(f'--{name} {getattr(self, name)} is not 1 or more.')


def _check_threshold(value: float) -> None:
    if not 0 <= value <= 1:
        raise UserError(f'--score-threshold {value} is not between 0 and 1.')


def check_max_pixels(value: int) -> None:
    """Raises ``UserError`` for a limit that no picture could keep."""
    if value < 1:
        raise UserError(f'--max-pixels {value} is not 1 or more.')
