"""Model files, opened by the runtime of their format."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MissingFileError, MissingPackageError, UserError, choice_error
from ..threads import granted_cores
from .metadata import KEY, Metadata, from_json

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Session:
    """An open file.

    Attributes:
        metadata: what it says about itself.
        inputs: names.
        outputs: names.
        run: inputs by name to outputs by name; several threads may call it at once.
    """

    metadata: Metadata
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    run: Callable[[Arrays], Arrays]


def open_session(path: Path, threads: int | None) -> Session:
    """Open a file by the runtime that its suffix names.

    Args:
        path: ``.onnx`` or ``.xml``; the latter's weights are beside it, in a file with the suffix ``.bin``.
        threads: of a run; None for as many as this process may use cores (:func:`.threads.granted_cores`), and where
            it may use all, what the runtime takes by itself: one per core.

    Raises:
        UserError: no such file or suffix, a runtime that is not installed, a file that it cannot read, or one that
            this package has not exported.
    """
    openers = {'.onnx': _open_onnx, '.xml': _open_openvino}
    if path.suffix.lower() not in openers:
        raise choice_error(f'{path}: the suffix of a model file', path.suffix, openers)
    if not path.is_file():
        raise MissingFileError(f'{path} does not exist.' if not path.exists() else f'{path} is no file.')
    if threads is not None and threads < 1:
        raise UserError(f'threads={threads} is not 1 or more.')
    return openers[path.suffix.lower()](path, threads or granted_cores())


def _open_onnx(path: Path, threads: int | None) -> Session:
    try:
        import onnxruntime
    except ImportError as error:
        raise _missing(path, 'onnxruntime', 'runtime') from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # classes of its own, one per code
        raise _unreadable(path, 'ONNX Runtime', error) from error
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    inputs, outputs = (
        tuple(value.name for value in values) for values in (session.get_inputs(), session.get_outputs())
    )

    def run(arrays: Arrays) -> Arrays:
        return dict(zip(outputs, session.run(None, dict(arrays)), strict=True))

    return Session(_metadata(text, path), inputs, outputs, run)


def _open_openvino(path: Path, threads: int | None) -> Session:
    try:
        import openvino
    except ImportError as error:
        raise _missing(path, 'openvino', 'openvino') from error
    core = openvino.Core()
    try:
        model = core.read_model(path)
        text = model.get_rt_info(KEY).astype(str) if model.has_rt_info(KEY) else None
        metadata = _metadata(text, path)
        # Without a word it computes in bf16 wherever the processor can.
        properties: dict[str, Any] = {'INFERENCE_PRECISION_HINT': 'bf16' if metadata.precision == 'bf16' else 'f32'}
        if threads is not None:
            properties['INFERENCE_NUM_THREADS'] = threads
        compiled = core.compile_model(model, 'CPU', properties)
    except UserError:
        raise
    except Exception as error:
        raise _unreadable(path, 'OpenVINO', error) from error
    # A tensor may have several names: those of nodes that did nothing, and are gone.
    inputs = tuple(name for port in compiled.inputs for name in port.get_names())
    outputs = {name: index for index, port in enumerate(compiled.outputs) for name in port.get_names()}

    own = threading.local()

    def run(arrays: Arrays) -> Arrays:
        # ``compiled`` itself has one request for all threads, whose outputs are those of the last picture.
        if not hasattr(own, 'request'):
            own.request = compiled.create_infer_request()
        found = own.request.infer(dict(arrays))
        return {name: np.array(found[index]) for name, index in outputs.items()}

    return Session(metadata, inputs, tuple(outputs), run)


def _metadata(text: str | None, path: Path) -> Metadata:
    if text is None:
        raise UserError(
            f'{path} was not exported by effformer_dense: it has no metadata {KEY!r}, which say how to use it. '
            'Make one with effdense export.'
        )
    return from_json(text, path)


def _missing(path: Path, package: str, extra: str) -> MissingPackageError:
    return MissingPackageError(
        f"{path.name} is run by {package}, which is not installed: pip install 'effformer_dense[{extra}]'"
    )


def _unreadable(path: Path, runtime: str, error: Exception) -> UserError:
    reason = ' '.join(str(error).split())[-200:]
    return UserError(f'{path} cannot be read by {runtime}: is it whole, and an exported model? ({reason})')
