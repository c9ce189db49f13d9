"""Detectors as graphs: a picture in, boxes out, nothing but tensors in between.

The networks, anchors and box coders are mmdet's own modules. What is written here is what mmdet does around them with
Python objects and sizes that depend on the picture, in operators that a graph can hold. In eager mode the results are
mmdet's to the bit, with torchvision's RoIAlign and for pictures in the usual order in memory: convolutions round
otherwise in another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torchvision  # noqa: F401  its operators are used by name
from mmdet.structures.bbox import bbox2roi
from torch import Tensor, nn

from ..deploy.free_sizes import FreePoolings
from ..deploy.pixels import normalise_of, padded, up_to_multiple
from .exportable import check_exportable
from .selection import first, large, places, strongest, unsuppressed

Size = tuple[int, int]


class DetectionGraph(nn.Module):
    """A detector of mmdet, from pixels to detections.

    Args:
        model: Mask R-CNN, Faster R-CNN or RetinaNet, in evaluation mode. Its ``test_cfg`` decides as in mmdet.

    Attributes:
        outputs: names of what :meth:`forward` returns.

    Raises:
        UserError: a part of it has no operators to be exported to.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        check_exportable(model)
        self.model = model
        self.normalise = normalise_of(model.data_preprocessor)
        self.heads = TwoStages(model) if hasattr(model, 'roi_head') else OneStage(model)
        self.outputs = ('boxes', 'labels', 'scores', *(('masks',) if model.with_mask else ()))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Detections of a picture (1, 3, H, W), RGB, 0 to 255, best score first.

        Returns:
            Boxes (N, 4), x1, y1, x2, y2 in px of ``image``; labels (N,) int64; scores (N,); and with a mask head the
            probabilities (N, h, w) of belonging to the object, over its box.
        """
        height, width = image.shape[2:]
        preprocessor = self.model.data_preprocessor
        size = up_to_multiple((height, width), preprocessor.pad_size_divisor)
        pixels = padded(self.normalise(image), size, preprocessor.pad_value)
        with FreePoolings():
            features = self.model.extract_feat(pixels)
        return self.heads(features, (height, width))


class OneStage(nn.Module):
    """What a dense head finds, as mmdet's ``BaseDenseHead`` has it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.head = model.bbox_head

    def forward(self, features: tuple[Tensor, ...], size: Size) -> tuple[Tensor, ...]:
        """Boxes, labels and scores."""
        cfg = self.head.test_cfg
        levels = enumerate(zip(*self.head(features), strict=True))
        found = [self._of_level(level, logits, deltas, size) for level, (logits, deltas) in levels]
        boxes, labels, scores = (torch.cat(parts) for parts in zip(*found, strict=True))
        kept = large(boxes, cfg)
        boxes, labels, scores = boxes[kept], labels[kept], scores[kept]
        best = unsuppressed(boxes, scores, labels, cfg.nms, cfg.max_per_img)
        return boxes[best], labels[best], scores[best]

    def _of_level(self, level: int, logits: Tensor, deltas: Tensor, size: Size) -> tuple[Tensor, Tensor, Tensor]:
        """The best of one level of the pyramid; all its boxes are decoded, for mmdet's coder wants to know how many."""
        cfg = self.head.test_cfg
        shape = logits.shape[2:]
        deltas, probabilities = _rows(deltas, 4), _probabilities(self.head, logits)  # (anchors, classes)
        anchors = _anchors(self.head, torch.arange(deltas.shape[0], device=deltas.device), shape, level, deltas)
        boxes = self.head.bbox_coder.decode(anchors, deltas, max_shape=size)
        found = places(probabilities > cfg.get('score_thr', 0))
        scores = probabilities[found[:, 0], found[:, 1]]
        best = first(scores.argsort(descending=True), cfg.get('nms_pre', -1))
        rows, labels = found[best].unbind(1)
        return boxes[rows], labels, scores[best]


class TwoStages(nn.Module):
    """What an RPN proposes and a RoI head decides, as mmdet's ``RPNHead`` and ``StandardRoIHead`` have it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.rpn = model.rpn_head
        self.roi = model.roi_head

    def forward(self, features: tuple[Tensor, ...], size: Size) -> tuple[Tensor, ...]:
        """Boxes, labels, scores and, with a mask head, probabilities."""
        boxes, labels, scores = self.detect(features, self.propose(features, size), size)
        if not self.roi.with_mask:
            return boxes, labels, scores
        return boxes, labels, scores, self.masks(features, boxes, labels)

    def propose(self, features: tuple[Tensor, ...], size: Size) -> Tensor:
        """Boxes (N, 4) that may hold an object."""
        cfg = self.rpn.test_cfg
        chosen = []
        for level, (logits, deltas) in enumerate(zip(*self.rpn(features), strict=True)):
            scores = _probabilities(self.rpn, logits)[:, 0]
            best = strongest(scores, cfg.get('nms_pre', -1))
            anchors = _anchors(self.rpn, best, logits.shape[2:], level, deltas)
            chosen.append((anchors, _rows(deltas, 4)[best], scores[best], torch.full_like(best, level)))
        anchors, deltas, scores, levels = (torch.cat(parts) for parts in zip(*chosen, strict=True))
        boxes = self.rpn.bbox_coder.decode(anchors, deltas, max_shape=size)
        kept = large(boxes, cfg)
        boxes, scores, levels = boxes[kept], scores[kept], levels[kept]
        return boxes[unsuppressed(boxes, scores, levels, cfg.nms, cfg.max_per_img)]

    def detect(self, features: tuple[Tensor, ...], proposals: Tensor, size: Size) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes, labels and scores of the proposals (N, 4) that are objects."""
        cfg, head = self.roi.test_cfg, self.roi.bbox_head
        count = proposals.shape[0]
        if not isinstance(count, int):  # mmdet's coder asks whether there are any; anchors are all over the picture
            torch._check(count >= 1)
        logits, deltas = head(self._features(self.roi.bbox_roi_extractor, features, proposals))
        boxes = head.bbox_coder.decode(proposals, deltas, max_shape=size).reshape(count, deltas.shape[1] // 4, 4)
        probabilities = logits.softmax(-1)[:, :-1]  # the last one is background
        rows, labels = places(probabilities > cfg.score_thr).unbind(1)
        scores = probabilities[rows, labels]
        boxes = boxes[rows, 0] if head.reg_class_agnostic else boxes[rows, labels]
        best = unsuppressed(boxes, scores, labels, cfg.nms, cfg.max_per_img)
        return boxes[best], labels[best], scores[best]

    def masks(self, features: tuple[Tensor, ...], boxes: Tensor, labels: Tensor) -> Tensor:
        """Probabilities (N, h, w) within the boxes (N, 4)."""
        if not isinstance(boxes.shape[0], int):  # a recording asks whether there are any: with one more, there are
            boxes, labels = (torch.cat([part, part.new_zeros(1, *part.shape[1:])]) for part in (boxes, labels))
            return self._masks(features, boxes, labels)[:-1]
        return self._masks(features, boxes, labels)

    def _masks(self, features: tuple[Tensor, ...], boxes: Tensor, labels: Tensor) -> Tensor:
        head = self.roi.mask_head
        probabilities = head(self._features(self.roi.mask_roi_extractor, features, boxes)).sigmoid()
        if head.class_agnostic:
            return probabilities[:, 0]
        return probabilities[torch.arange(labels.shape[0], device=labels.device), labels]

    def _features(self, extractor: Any, features: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        regions = regions_of(extractor, features[: extractor.num_inputs], bbox2roi([boxes]))
        return self.roi.shared_head(regions) if self.roi.with_shared_head else regions


def regions_of(extractor: Any, features: tuple[Tensor, ...], rois: Tensor) -> Tensor:
    """Features of regions, each from the level of the pyramid that its size asks for: mmdet's ``SingleRoIExtractor``.

    Args:
        extractor: its levels' scales and sampling are used.
        features: (1, C, h, w) of every level.
        rois: (N, 5), zero and a box in px.

    Returns:
        (N, C, height, width).
    """
    levels = extractor.map_roi_levels(rois, len(features))
    regions = rois.new_zeros(rois.shape[0], extractor.out_channels, *extractor.roi_layers[0].output_size)
    for level, (layer, feature) in enumerate(zip(extractor.roi_layers, features, strict=True)):
        chosen = places(levels == level)[:, 0]
        aligned = torch.ops.torchvision.roi_align(
            feature, rois[chosen], layer.spatial_scale, *layer.output_size, layer.sampling_ratio, layer.aligned
        )
        regions = regions.index_put((chosen,), aligned)
    return regions


def _anchors(head: Any, indices: Tensor, shape: Sequence[int], level: int, like: Tensor) -> Tensor:
    """Those anchors (N, 4) of a level that are asked for, on a map of this shape."""
    sides = [torch.full((), side, device=like.device) for side in shape]  # ONNX divides by tensors only
    return head.prior_generator.sparse_priors(indices, sides, level, like.dtype, like.device)


def _rows(values: Tensor, columns: int) -> Tensor:
    """(1, A * columns, h, w) to (h * w * A, columns)."""
    places = values[0].permute(1, 2, 0).clone(memory_format=torch.contiguous_format)  # reshape() would ask about order
    return places.reshape(-1, columns)


def _probabilities(head: Any, logits: Tensor) -> Tensor:
    """(anchors, classes) of a head with a logit for each class, and one for none where they exclude each other."""
    logits = _rows(logits, head.cls_out_channels)
    return logits.sigmoid() if head.use_sigmoid_cls else logits.softmax(-1)[:, :-1]
