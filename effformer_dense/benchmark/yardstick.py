"""What the machine can do at the moment: the unit that the time of a network is compared with."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

#: Convolutions that processors do best: (channels, side of the kernel) on a map of this side. 2 and 5 GFLOP a call.
_CONVOLUTIONS = ((512, 1), (256, 3))
_MAP_SIDE = {'cpu': 64, 'cuda': 256}
#: Copied from one place to another: far larger than a cache.
_COPIED_BYTES = 2**27
_CALLS = 3


@dataclass(frozen=True)
class Pace:
    """Rates of a machine.

    Attributes:
        flops_per_s: of its best convolution.
        bytes_per_s: read plus written, of copying a large block.
    """

    flops_per_s: float
    bytes_per_s: float


@dataclass(frozen=True)
class Work:
    """What a step cannot do without.

    Attributes:
        flops: in convolutions and matrix products; a multiply-accumulate is two.
        bytes: that convolutions and linear layers read and write, each operand and result once. Products of attention
            are left out, for their operands can stay in the cache.
    """

    flops: float
    bytes: float

    def floor_s(self, pace: Pace) -> float:
        """Seconds of the operations at the best rate, plus those of the bytes: what no program is expected to beat."""
        return self.flops / pace.flops_per_s + self.bytes / pace.bytes_per_s


class Yardstick:
    """Measures a machine's pace again and again; made once, for finding the best convolution takes a while."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        self._device = device
        self._flops, self._convolve = max(
            (_convolution(device, dtype, *shape, layout) for shape in _CONVOLUTIONS for layout in _LAYOUTS),
            key=lambda candidate: candidate[0] / self._seconds(candidate[1]),
        )
        self._source, self._target = (torch.ones(_COPIED_BYTES, dtype=torch.uint8, device=device) for _ in range(2))

    @torch.inference_mode()
    def pace(self) -> Pace:
        return Pace(
            self._flops / self._seconds(self._convolve),
            2 * _COPIED_BYTES / self._seconds(lambda: self._target.copy_(self._source)),
        )

    def _seconds(self, call: Callable[[], object]) -> float:
        """Of one call: median of three, after one that is not counted."""
        seconds = [seconds_of(call, self._device) for _ in range(1 + _CALLS)]
        return statistics.median(seconds[1:])


_LAYOUTS = (torch.contiguous_format, torch.channels_last)


def _convolution(
    device: str, dtype: torch.dtype, channels: int, kernel: int, layout: torch.memory_format
) -> tuple[float, Callable[[], object]]:
    """Operations of a convolution, and the convolution."""
    side = _MAP_SIDE.get(torch.device(device).type, _MAP_SIDE['cpu'])
    image = torch.ones(1, channels, side, side, device=device, dtype=dtype).to(memory_format=layout)
    weight = torch.ones(channels, channels, kernel, kernel, device=device, dtype=dtype).to(memory_format=layout)
    flops = 2.0 * (channels * kernel * side) ** 2
    return flops, torch.inference_mode()(lambda: F.conv2d(image, weight, padding=kernel // 2))


def seconds_of(call: Callable[[], object], device: str) -> float:
    """Seconds until a call is done, on the device too."""
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - start


def synchronize(device: str) -> None:
    """Wait until the device is done; a no-op on a CPU."""
    kind = torch.device(device).type
    if kind == 'cuda':
        torch.cuda.synchronize(device)
    elif kind == 'mps':
        torch.mps.synchronize()
