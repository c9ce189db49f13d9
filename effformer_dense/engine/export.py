"""A trained model to a file that is known to agree with it."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.export import ExportedProgram

from ..backbones.base import DenseBackbone
from ..backbones.timm_features import TimmFeatures
from ..checkpoint.loaders import safe_loaders
from ..checkpoint.whole_model import find_checkpoint, load_weights
from ..config.datasets import datasets_of
from ..config.resizing import resizing_of
from ..data.finding import find_pictures
from ..data.pictures import read_picture
from ..deploy.agreement import COMPARED_SCORE, LIMITS, Agreement
from ..deploy.features import FeatureGraph
from ..deploy.formats import Format, format_named
from ..deploy.pixels import normalise_of
from ..deploy.record import RECORDED_PX, record
from ..errors import UserError
from ..files import check_output_file, write_together
from ..options import ConfigOptions, ExportOptions
from ..results import Classes
from ..runtime.metadata import Metadata
from ..tasks import ExportGraph, task_of_model
from ..version import __version__
from .infer import dataset_meta_of
from .open import open_for_prediction
from .proof import PICTURES, Case, Reference, cases, prove, record_of, sample_picture

_VERSIONS = ('torch', 'torchvision', 'mmengine', 'mmdet', 'mmsegmentation', 'onnx', 'onnxruntime', 'openvino')
Pictures = list[tuple[str, np.ndarray]]


@safe_loaders()
def export(options: ConfigOptions, export_options: ExportOptions) -> Path:
    """Write a trained model as a file, run that file, and compare it with PyTorch.

    Returns:
        The file.

    Raises:
        UserError: a format or precision that is not to be had, a model with a part that cannot be exported, pictures
            that cannot be read, or a file that does not agree: then none is written.
    """
    kind = format_named(export_options.format)
    _check_options(kind, export_options)
    out = export_options.out or Path(f'{options.config.stem}{kind.suffix}')
    _check_out(out, kind)
    checkpoint = find_checkpoint(export_options.checkpoint)
    cfg = open_for_prediction(options)
    pictures = _proof_pictures(cfg, export_options.pictures, options.max_pixels)
    job = _job(cfg, checkpoint, export_options, kind, options.config.name)
    print(f'Recording {job.metadata.task}: {", ".join(job.metadata.outputs)}')
    write_together(out, lambda scratch: _write(scratch, kind, job, pictures))
    return out


@dataclass(frozen=True)
class Job:
    """What is written.

    Attributes:
        graph: the model.
        metadata: what is known of it before it is compared.
    """

    graph: ExportGraph
    metadata: Metadata


def _job(cfg: Config, checkpoint: Path, options: ExportOptions, kind: Format, config_name: str) -> Job:
    """The model of a config with its weights, from pixels to results.

    Raises:
        UserError: the checkpoint does not fit, or the model cannot be exported.
    """
    model: nn.Module = MODELS.build(cfg.model)
    dataset_meta = dataset_meta_of(cfg, load_weights(model, checkpoint).get('meta', {}))
    model = revert_sync_batchnorm(model).eval()
    resizing = resizing_of(datasets_of(cfg, 'test')[0].pipeline)
    task = task_of_model(cfg.model)
    if options.part == 'backbone':
        graph, classes = _features(model), Classes((), (), ())
    else:
        output = options.output if options.output != 'labels' else None
        graph, classes = task.graph(model, options.size is None, output), task.classes(model, dataset_meta)
    metadata = Metadata(
        task='features' if options.part == 'backbone' else task.name,
        outputs=graph.outputs,
        classes=classes.names,
        palette=classes.palette,
        numbers=classes.numbers,
        size=options.size,
        resizing=resizing,
        mean=tuple(graph.normalise.mean.flatten().tolist()),
        std=tuple(graph.normalise.std.flatten().tolist()),
        mask_threshold=graph.mask_threshold,
        precision=options.precision,
        source={'config': config_name, 'checkpoint': checkpoint.name},
        versions=_versions(kind),
    )
    return Job(graph, metadata)


def _features(model: Any) -> ExportGraph:
    if not isinstance(model.backbone, DenseBackbone | TimmFeatures):
        raise UserError(f'--part backbone: {type(model.backbone).__name__} is none of this package; export the model.')
    module = FeatureGraph(model.backbone, normalise_of(model.data_preprocessor)).eval()
    return ExportGraph(module, ('image',), module.outputs, module.normalise)


def _example(job: Job) -> dict[str, Tensor]:
    """Inputs that a graph is recorded with."""
    sides = job.metadata.size or RECORDED_PX
    generator = torch.Generator().manual_seed(0)
    example = {'image': torch.rand(1, 3, *sides, generator=generator) * 255}
    if 'size' in job.graph.inputs:
        example['size'] = torch.tensor([sides[0] + 61, sides[1] + 37])
    return example


def _write(scratch: Path, kind: Format, job: Job, pictures: Pictures) -> None:
    """Write, run and describe the file; raises ``UserError`` if it does not agree with PyTorch."""
    metadata = job.metadata
    program = _recorded(job)
    kind.write(program, scratch, metadata.outputs, metadata.precision)
    kind.describe(scratch, metadata.to_json())
    if not kind.runs_here:
        print(f'{_counted(kind, scratch)}\n{kind.unverified}')
        return
    proof = _prove(scratch, kind, job, pictures)
    kind.describe(scratch, dataclasses.replace(metadata, proof=tuple(proof)).to_json())


def _recorded(job: Job) -> ExportedProgram:
    """The model as a graph.

    Raises:
        UserError: it does in Python what depends on numbers or sizes that a graph does not know.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', FutureWarning)  # of torchvision about torch
            return record(job.graph.module, _example(job), dynamic=job.metadata.size is None)
    except Exception as error:  # torch has many kinds
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        way_out = '' if job.metadata.size else ' A file for one size may be possible: --size HEIGHT WIDTH.'
        raise UserError(f'The model cannot be recorded as a graph: {reason}.{way_out}') from error


def _prove(path: Path, kind: Format, job: Job, pictures: Pictures) -> list[dict[str, Any]]:
    metadata = job.metadata
    run, reference = kind.open(path, metadata.outputs), Reference(job.graph.module, metadata.outputs)
    proof = []
    for case in _cases(pictures, job):
        agreement = prove(case, reference, run, LIMITS[metadata.precision])
        print(_sentence(case, agreement))
        if agreement.faults:
            raise UserError(
                f'The file does not agree with PyTorch on {case.picture} at {case.size[1]} x {case.size[0]} px: '
                f'{"; ".join(agreement.faults)}. It was not written. Please report this, with the config.'
            )
        proof.append(record_of(case, agreement))
    if metadata.task == 'detection' and not any(figures['detections'] for figures in proof):
        print(
            f'PyTorch finds nothing above {COMPARED_SCORE:g} in these pictures, so little is proven: name some '
            'that show objects, --pictures.'
        )
    return proof


def _cases(pictures: Pictures, job: Job) -> Iterator[Case]:
    metadata = job.metadata
    return cases(pictures, metadata.resizing, metadata.size, 'size' in job.graph.inputs)


def _sentence(case: Case, agreement: Agreement) -> str:
    figures = ', '.join(f'{name} {value:.3g}' for name, value in agreement.figures.items())
    return f'{case.picture} at {case.size[1]} x {case.size[0]} px: {figures}'


def _counted(kind: Format, path: Path) -> str:
    operators = sorted(kind.structure(path).items(), key=lambda entry: -entry[1])
    return f'Operators: {", ".join(f"{count} {name}" for name, count in operators)}'


def _check_options(kind: Format, options: ExportOptions) -> None:
    """The format is installed, and has what is asked of it."""
    kind.check()
    kind.check_precision(options.precision)
    if options.size is None and not kind.any_size:
        raise UserError(f'{kind.name} files take pictures of one size. Name it: --size HEIGHT WIDTH')
    if options.part == 'backbone' and options.output != 'labels':
        raise UserError('--output is of segmentors; --part backbone gives feature maps.')


def _check_out(out: Path, kind: Format) -> None:
    if out.suffix != kind.suffix:
        raise UserError(f'--out {out}: {kind.name} files end in {kind.suffix}.')
    if not (out.is_dir() and kind.suffix == '.mlpackage'):  # which is a folder
        check_output_file(out)


def _proof_pictures(cfg: Config, named: str | None, max_pixels: int) -> Pictures:
    """Pictures to compare on: those that the user names, or of the test data, or the one that matplotlib brings."""
    if named is not None:
        return _read(find_pictures(named), max_pixels)
    for folder in _test_folders(cfg):
        with suppress(UserError):  # the file may be exported on a machine without the data
            return _read(find_pictures(str(folder)), max_pixels)
    print('The test data of the config are not here: compared on a picture that comes with matplotlib (or --pictures).')
    return [sample_picture()]


def _test_folders(cfg: Config) -> list[Path]:
    folders = (dataset.folders.get(name) for dataset in datasets_of(cfg, 'test') for name in ('img', 'img_path'))
    return [Path(folder) for folder in folders if folder and Path(folder).is_dir()]


def _read(paths: Sequence[Path], max_pixels: int) -> Pictures:
    return [(path.name, read_picture(path, max_pixels)[..., ::-1]) for path in paths[:PICTURES]]


def _versions(kind: Format) -> dict[str, str]:
    """Of the packages that had a hand in it; OpenMMLab's also under the names of the maintained forks."""
    versions = {'effformer_dense': __version__}
    for package in (*_VERSIONS, *(f'onedl-{name}' for name in _VERSIONS if name.startswith('mm')), *kind.packages):
        with suppress(PackageNotFoundError):
            versions[package.removeprefix('onedl-')] = version(package)
    return versions
