"""A contender in a process of its own: peaks of memory and compiled code of one are not the next one's."""

from __future__ import annotations

import gc
import multiprocessing
import os
import re
import signal
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from ..allocator import keep_freed_memory, release_freed_memory
from ..errors import UserError
from .cases import PRECISIONS, Case
from .subjects import build_subject
from .work import count_work
from .yardstick import Pace, Work, Yardstick, seconds_of

WARM_UP_STEPS = 2
#: A first step that took longer is warm-up enough.
LONG_STEP_S = 60
#: Shorter steps are repeated for so long in each turn, after one for the caches, which the others have emptied.
TURN_S = 0.1
#: Processes may take so long to end.
_END_S = 10


@dataclass(frozen=True)
class Ready:
    """What a contender tells before its turns.

    Attributes:
        parameters: of the model before fusing.
        peak_mib: memory above that at the start of the first step, or of a compiled model's second; None where the
            system does not tell.
    """

    parameters: int
    peak_mib: float | None


@dataclass(frozen=True)
class Turn:
    """One timed step, or the mean of several short ones.

    Attributes:
        seconds: a step took.
        cpu_s: that the process has used since its start.
        parts_ms: of a whole detector or segmentor, time in each part.
    """

    seconds: float
    cpu_s: float
    parts_ms: dict[str, float] = field(default_factory=dict)


class TooLargeError(UserError):
    """A contender takes more memory than there is.

    Attributes:
        name: of the contender.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f'{name} takes more memory than there is: {reason}. Choose a smaller size.')
        self.name = name


class Worker:
    """A process that answers one question again and again: :meth:`ask`. Its start is over when the first answer is in.

    Args:
        target: called in the process with ``argument``; its first result is what ``start`` returns, and the function
            that comes with it answers each question.
        argument: has to be picklable.
        name: for messages.
    """

    def __init__(self, target: Callable[[Any], tuple[Any, Callable[[], Any]]], argument: object, name: str) -> None:
        spawn = multiprocessing.get_context('spawn')
        self._name = name
        self._connection, other = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(other, target, argument), daemon=True)
        self._process.start()
        other.close()
        try:
            self.first = self._receive()
        except BaseException:
            self._process.kill()
            raise

    def ask(self) -> Any:
        """Let it do its work once, and wait for it."""
        with suppress(OSError):  # it has been ended meanwhile, which receiving tells
            self._connection.send(True)
        return self._receive()

    def _receive(self) -> Any:
        try:
            answer = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join(_END_S)
            if self._process.exitcode in (None, -signal.SIGKILL):  # as systems do that have no memory left
                raise TooLargeError(self._name, 'its process was ended') from error
            raise UserError(f'{self._name}: its process has ended, with status {self._process.exitcode}.') from error
        if isinstance(answer, MemoryError) or (
            isinstance(answer, RuntimeError) and _SPEAKS_OF_MEMORY.search(str(answer))
        ):
            raise TooLargeError(self._name, str(answer).splitlines()[0]) from answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        with suppress(OSError):  # it has ended already
            self._connection.send(False)
        self._process.join(_END_S)
        self._process.kill()


_SPEAKS_OF_MEMORY = re.compile('(?i)memory|storage size')


def _serve(connection: Connection, target: Callable[[Any], tuple[Any, Callable[[], Any]]], argument: object) -> None:
    end_with_parent()
    try:
        first, answer = target(argument)
        connection.send(first)
        while connection.recv():
            connection.send(answer())
    except Exception as error:
        try:
            connection.send(error)
        except Exception:  # it holds what cannot be sent
            connection.send(UserError(f'{type(error).__name__}: {error}'))


def end_with_parent() -> None:
    """End this process when the benchmark that started it is killed."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None, 'this runs in processes that multiprocessing has started'
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def contend(case: Case) -> tuple[Ready, Callable[[], Turn]]:
    """Build a case's subject and warm it up: what a :class:`Worker` does for a contender."""
    if case.keep_memory:
        keep_freed_memory()
    torch.set_num_threads(case.threads)
    subject = build_subject(case)
    start = time.perf_counter()
    if 'compiled' in case.mode:  # the compiler's memory is not the network's
        subject.step()
    peak_mib = _peak_mib(subject.step, case.device)
    if time.perf_counter() - start < LONG_STEP_S:
        for _ in range(WARM_UP_STEPS):
            subject.step()

    def turn() -> Turn:
        return Turn(_time_step(subject.step, case.device), time.process_time(), dict(subject.parts_ms))

    return Ready(subject.parameters, peak_mib), turn


def _time_step(step: Callable[[], object], device: str) -> float:
    """Seconds that a step takes: of a short one the mean, after a first that brings its data into the caches again."""
    first = seconds_of(step, device)
    if first >= TURN_S:
        return first
    times: list[float] = []
    while sum(times) < TURN_S:
        times.append(seconds_of(step, device))
    return statistics.mean(times)


def keep_pace(case: Case) -> tuple[Work, Callable[[], tuple[Pace, float]]]:
    """What a case has to do, and the machine's pace in its precision with its threads, with the CPU seconds used."""
    torch.set_num_threads(case.threads)
    work = count_work(case)
    yardstick = Yardstick(case.device, PRECISIONS[case.precision])
    return work, lambda: (yardstick.pace(), time.process_time())


def tell_work(case: Case) -> tuple[Work, Callable[[], None]]:
    """What a case has to do, and no question more."""
    return count_work(case), lambda: None


def _peak_mib(step: Callable[[], object], device: str) -> float | None:
    """Peak memory of a step, in MiB above the level before it."""
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
