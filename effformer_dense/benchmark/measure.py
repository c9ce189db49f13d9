"""Measuring one case, in a process of its own: time, memory, operations, the machine's matrix-product rate."""

from __future__ import annotations

import gc
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..allocator import keep_freed_memory, release_freed_memory
from .cases import PRECISIONS, Case, Measurement, is_config
from .subjects import Subject, build_subject, synchronize

#: Side of the square matrices whose product gives the machine's rate: large enough to reach it, and quick.
GEMM_SIDE = {'cpu': 2048, 'cuda': 8192}
WARM_UP_STEPS = 2
#: A first step that took longer is warm-up enough.
LONG_STEP_S = 60


def measure(case: Case) -> Measurement:
    """Measure a case. Call it in a fresh process: memory left by other cases would distort the peak."""
    if case.keep_memory:
        keep_freed_memory()
    torch.set_num_threads(case.threads)
    subject = build_subject(case)
    gemm = _gemm(case)
    start = time.perf_counter()
    peak_mib = _peak_mib(subject.step, case.device)
    if time.perf_counter() - start < LONG_STEP_S:
        for _ in range(WARM_UP_STEPS):
            subject.step()
    flops = _count_flops(case)
    times, rates, parts = _time(subject, gemm, case)
    median, rate = statistics.median(times), statistics.median(rates)
    return Measurement(
        case=case,
        median_ms=1e3 * median,
        fastest_ms=1e3 * min(times),
        slowest_ms=1e3 * max(times),
        images_per_s=case.batch / median,
        peak_mib=peak_mib,
        gmacs=flops / 2e9,
        parameters=subject.parameters,
        gemm_gflops=rate / 1e9,
        gflop_equivalent=median * rate / 1e9,
        share=flops / (median * rate),
        parts_ms=parts,
    )


def _time(subject: Subject, gemm: Callable[[], float], case: Case) -> tuple[list[float], list[float], dict[str, float]]:
    """Seconds of each step, and the GEMM rate beside each: the machine may change its pace meanwhile."""
    times, rates, parts = [], [], defaultdict(list)
    for _ in range(case.repeats):
        rates.append(gemm())
        synchronize(case.device)
        start = time.perf_counter()
        subject.step()
        synchronize(case.device)
        times.append(time.perf_counter() - start)
        for name, milliseconds in subject.parts_ms.items():
            parts[name].append(milliseconds)
    return times, rates, {name: statistics.median(values) for name, values in parts.items()}


def _gemm(case: Case) -> Callable[[], float]:
    """Function that measures FLOP/s of a square matrix product in the case's precision: median of three."""
    device = torch.device(case.device)
    side = GEMM_SIDE.get(device.type, GEMM_SIDE['cpu'])
    left, right, out = (torch.ones(side, side, device=device, dtype=PRECISIONS[case.precision]) for _ in range(3))

    def rate() -> float:
        seconds = []
        for _ in range(3):
            synchronize(case.device)
            start = time.perf_counter()
            torch.mm(left, right, out=out)
            synchronize(case.device)
            seconds.append(time.perf_counter() - start)
        return 2 * side**3 / statistics.median(seconds)

    rate()
    return rate


def _peak_mib(step: Callable[[], object], device: str) -> float | None:
    """Peak memory of the first step, in MiB above the level before it."""
    if torch.device(device).type == 'cuda':
        allocated = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        return (torch.cuda.max_memory_allocated(device) - allocated) / 2**20
    try:
        # What building the model has freed would be used again and not be seen.
        gc.collect()
        release_freed_memory()
        Path('/proc/self/clear_refs').write_text('5')  # resets the high-water mark (Linux)
        before = _status_mib('VmRSS')
    except OSError:
        step()
        return None
    step()
    return _status_mib('VmHWM') - before


def _status_mib(entry: str) -> float:
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f'{entry}:')) / 1024


def _count_flops(case: Case) -> int:
    """Operations of a step in convolutions and matrix products, of the model as it is before fusing and compiling.

    A training step counts as three forward passes, as is usual; torch's counter overstates the backward pass of
    depth-wise convolutions.
    """
    case_of_model = replace(case, mode='eager', precision='fp32', train=False)
    if not is_config(case.model):
        case_of_model = replace(case_of_model, device='meta')  # shapes are enough, nothing is computed
    step = build_subject(case_of_model).step
    with FlopCounterMode(display=False, custom_mapping=_IN_PLACE_PRODUCTS) as counter:
        step()
    return (3 if case.train else 1) * counter.get_total_flops()


def _product_flops(_total: object, left: tuple, right: tuple, **_: object) -> int:
    return 2 * left[0] * left[1] * left[2] * right[2]


#: What attention in chunks uses and torch's counter does not know.
_IN_PLACE_PRODUCTS = {torch.ops.aten.baddbmm_: _product_flops}
