"""Model files of a few nodes, whose results are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from effformer_dense.runtime.metadata import KEY, Metadata, Resizing

CLASSES, PALETTE = ('dark', 'bright'), ((255, 0, 0), (0, 0, 255))
#: Of the detector, in px of the network's input.
BOXES = np.array([[8, 4, 40, 36], [20, 20, 60, 30]], np.float32)
LABELS, SCORES = np.array([1, 0], np.int64), np.array([0.9, 0.4], np.float32)
#: Rising from left to right: the right half of a box belongs to its object.
MASKS = np.repeat(np.linspace(0, 1, 28, dtype=np.float32)[None, None], 28, 1).repeat(2, 0)

_SIDES = ('height', 'width')


def detector(path: Path, size: tuple[int, int] | None = None, masks: bool = True, scale=None, count: int = 2) -> Path:
    """Finds the same objects in every picture."""
    names = ('boxes', 'labels', 'scores', *(('masks',) if masks else ()))
    values = dict(boxes=BOXES[:count], labels=LABELS[:count], scores=SCORES[:count], masks=MASKS[:count])
    nodes = [
        helper.make_node('Constant', [], [name], value=numpy_helper.from_array(values[name], name)) for name in names
    ]
    types = dict(boxes=TensorProto.FLOAT, labels=TensorProto.INT64, scores=TensorProto.FLOAT, masks=TensorProto.FLOAT)
    outputs = [helper.make_tensor_value_info(name, types[name], values[name].shape) for name in names]
    # A result must follow from the input, or some runtimes drop it.
    nodes[0].output[0] = 'fixed'
    nodes += [
        helper.make_node('ReduceMax', ['image'], ['most'], keepdims=0),
        helper.make_node('Mul', ['most', 'nought'], ['nothing']),
        helper.make_node('Add', ['fixed', 'nothing'], ['boxes']),
    ]
    nought = [helper.make_tensor('nought', TensorProto.FLOAT, [], [0.0])]
    metadata = Metadata(
        'detection', names, CLASSES, PALETTE, size, Resizing(scale), mean=(1, 2, 3), std=(4, 5, 6), numbers=(1, 2)
    )
    return _save(path, nodes, ['image'], outputs, nought, metadata)


def segmentor(path: Path, output: str = 'labels', size: tuple[int, int] | None = None, scale=None) -> Path:
    """Class 1 where red is above 100 of 255; a file for any size brings labels to the size that is asked for."""
    nodes, constants = [], [helper.make_tensor('hundred', TensorProto.FLOAT, [], [100.0])]
    constants.append(helper.make_tensor('first', TensorProto.INT64, [1], [0]))
    nodes.append(helper.make_node('Gather', ['image', 'first'], ['red'], axis=1))
    nodes.append(helper.make_node('Sub', ['red', 'hundred'], ['bright']))
    nodes.append(helper.make_node('Neg', ['bright'], ['dark']))
    nodes.append(helper.make_node('Concat', ['dark', 'bright'], ['small'], axis=1))
    inputs, large = ['image'], 'small'
    if size is None:
        constants.append(helper.make_tensor('whole', TensorProto.INT64, [2], [1, 2]))
        nodes.append(helper.make_node('Concat', ['whole', 'size'], ['shape'], axis=0))
        resize = helper.make_node('Resize', ['small', '', '', 'shape'], ['large'], mode='linear')
        nodes.append(resize)
        inputs, large = ['image', 'size'], 'large'
    if output == 'labels':
        nodes.append(helper.make_node('ArgMax', [large], ['best'], axis=1, keepdims=0))
        nodes.append(helper.make_node('Cast', ['best'], ['labels'], to=TensorProto.UINT8))
        outputs = [helper.make_tensor_value_info('labels', TensorProto.UINT8, [1, *_SIDES])]
    else:
        nodes.append(helper.make_node('Identity', [large], ['logits']))
        outputs = [helper.make_tensor_value_info('logits', TensorProto.FLOAT, [1, 2, *_SIDES])]
    metadata = Metadata(
        'segmentation', (output,), CLASSES, PALETTE, size, Resizing(scale), mean=(7.0, 8.0, 9.0), numbers=(1, 2)
    )
    return _save(path, nodes, inputs, outputs, constants, metadata)


def backbone(path: Path, size: tuple[int, int] | None = None) -> Path:
    """The picture itself, and half of it."""
    nodes = [
        helper.make_node('Identity', ['image'], ['stage1']),
        helper.make_node('Mul', ['image', 'half'], ['stage2']),
    ]
    half = [helper.make_tensor('half', TensorProto.FLOAT, [], [0.5])]
    names = ('stage1', 'stage2')
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, *_SIDES]) for name in names]
    return _save(path, nodes, ['image'], outputs, half, Metadata('features', names, size=size, mean=(10.0, 20.0, 30.0)))


def _save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[str],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Sequence[onnx.TensorProto],
    metadata: Metadata,
) -> Path:
    infos = {
        'image': helper.make_tensor_value_info('image', TensorProto.FLOAT, [1, 3, *(metadata.size or _SIDES)]),
        'size': helper.make_tensor_value_info('size', TensorProto.INT64, [2]),
    }
    graph = helper.make_graph(nodes, 'test', [infos[name] for name in inputs], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    helper.set_model_props(model, {KEY: metadata.to_json()})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def to_openvino(path: Path) -> Path:
    """The same file as OpenVINO's, with its metadata."""
    import openvino

    text = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}[KEY]
    model = openvino.Core().read_model(path)
    model.set_rt_info(text, [KEY])
    openvino.save_model(model, path.with_suffix('.xml'), compress_to_fp16=False)
    return path.with_suffix('.xml')
