"""Training and validation pictures where there are no splits; and whether the splits that there are share pictures."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import numpy as np

from ...errors import UserError
from ...options import MAX_PIXELS
from ..headers import decoded
from .findings import Action, Findings

#: Of the 64 bits of a perceptual hash, pictures that differ in so many at most are taken for nearly the same.
_NEAR_BITS = 4
_HASH_BITS = 64


def check_splits(splits: Mapping[str, Sequence[str]], root: Path, findings: Findings) -> None:
    """Take note of pictures that stand in two splits, under whatever name: they make scores look better than they are.

    Args:
        splits: names of pictures per split.
        root: that they are relative to.
        findings: takes note.
    """
    by_size: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for split, names in splits.items():
        for name in names:
            by_size[(root / name).stat().st_size].append((split, name))
    for candidates in by_size.values():
        if len({split for split, _ in candidates}) < 2:
            continue
        seen: dict[bytes, tuple[str, str]] = {}
        for split, name in candidates:
            other = seen.setdefault(_content(root / name), (split, name))
            if other[0] != split:
                reason = f'the same picture as {other[1]}, which is in {other[0]}'
                findings.add(Action.DOUBTFUL, 'picture in two splits', name, split, reason)


def split_pictures(
    names: Sequence[str],
    labels: Sequence[Iterable[int]],
    root: Path,
    findings: Findings,
    val_fraction: float = 0.2,
    seed: int = 0,
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[list[int], list[int]]:
    """Split pictures into training and validation.

    Pictures that look nearly the same come on one side. Each class has about the same share on both, by iterative
    stratification (Sechidis, Tsoumakas and Vlahavas 2011): the rarest class is dealt first.

    Args:
        names: of the pictures.
        labels: numbers of the classes that each shows.
        root: that the names are relative to.
        findings: takes note of pictures kept together, and of classes that one side lacks.
        val_fraction: share of the pictures for validation.
        seed: of what chance decides.
        max_pixels: of a picture.
        progress: is told what is done, how many of them, and of how many.

    Returns:
        Positions of the training and of the validation pictures, sorted.

    Raises:
        UserError: the share is not between 0 and 1, or there are not two pictures.
    """
    if not 0 < val_fraction < 1:
        raise UserError(f'--val-fraction {val_fraction} is not between 0 and 1.')
    if len(names) < 2:
        raise UserError(f'{len(names)} picture: one to learn from and one to validate on are the least.')
    groups = _near_duplicates(names, root, findings, max_pixels, progress)
    if max(map(len, groups)) > max(1.0, (1 - val_fraction) * len(names)):
        findings.add(
            Action.DOUBTFUL, 'pictures all alike', 'pictures', '',
            f'{max(map(len, groups)):,} of {len(names):,} look nearly the same, so they are split as if they did not',
        )  # fmt: skip
        groups = [[position] for position in range(len(names))]
    val = _deal(
        [set().union(*(labels[position] for position in group)) for group in groups],
        [len(group) for group in groups],
        val_fraction,
        seed,
    )
    sides: tuple[list[int], list[int]] = ([], [])
    for group, is_val in zip(groups, val, strict=True):
        sides[is_val].extend(group)
    return sorted(sides[0]), sorted(sides[1])


def _deal(labels: Sequence[set[int]], sizes: Sequence[int], val_fraction: float, seed: int) -> list[bool]:
    """Whether each group goes to validation; both sides get some."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(labels)).tolist()
    shares = (1 - val_fraction, val_fraction)
    rooms = [share * sum(sizes) for share in shares]
    totals = Counter(label for position in order for label in labels[position])
    wanted = {label: [share * total for share in shares] for label, total in totals.items()}
    left = dict.fromkeys(order)  # a set that keeps its order
    val: dict[int, bool] = {}

    def place(position: int, is_val: bool) -> None:
        val[position] = is_val
        rooms[is_val] -= sizes[position]
        for label in labels[position]:
            wanted[label][is_val] -= 1
        left.pop(position)

    for label in sorted(totals, key=lambda one: (totals[one], one)):
        for position in [position for position in left if label in labels[position]]:
            need = wanted[label]
            place(position, (need[1], rooms[1]) > (need[0], rooms[0]))
    for position in list(left):  # without a class
        place(position, rooms[1] > rooms[0])
    sides = [val[position] for position in range(len(labels))]
    # Few pictures, and one side may have got none, or none that shows a class.
    for candidates in (range(len(sides)), [position for position in range(len(sides)) if labels[position]]):
        if len(candidates) > 1 and len({sides[position] for position in candidates}) == 1:
            commonest = max(
                candidates, key=lambda one: (min((totals[label] for label in labels[one]), default=0), -sizes[one])
            )
            sides[commonest] = not sides[commonest]
    return sides


def _near_duplicates(
    names: Sequence[str],
    root: Path,
    findings: Findings,
    max_pixels: int,
    progress: Callable[[str, int, int], None] | None,
) -> list[list[int]]:
    """Positions of the pictures in groups that look nearly the same; most groups have one."""
    parent = list(range(len(names)))

    def top(position: int) -> int:
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position

    by_hash: dict[int, int] = {}  # the first picture of each
    for position, number in enumerate(_hashes(names, root, max_pixels, progress)):
        if number is not None:
            parent[position] = by_hash.setdefault(number, position)
    # Hashes that differ in 4 bits have one of 5 parts in common.
    part_bits = -(-_HASH_BITS // (_NEAR_BITS + 1))
    buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number in by_hash:
        for part in range(_NEAR_BITS + 1):
            buckets[part, (number >> part * part_bits) & ((1 << part_bits) - 1)].append(number)
    for bucket in buckets.values():
        for one, other in combinations(bucket, 2):
            if (one ^ other).bit_count() <= _NEAR_BITS:
                parent[top(by_hash[one])] = top(by_hash[other])
    groups: dict[int, list[int]] = defaultdict(list)
    for position in range(len(names)):
        groups[top(position)].append(position)
    for group in groups.values():
        if len(group) > 1:
            some = ', '.join(names[position] for position in group[1:4]) + (', ...' if len(group) > 4 else '')
            findings.add(
                Action.DOUBTFUL, 'nearly the same pictures', names[group[0]], '', f'kept on one side with {some}'
            )
    return list(groups.values())


def _hashes(
    names: Sequence[str], root: Path, max_pixels: int, progress: Callable[[str, int, int], None] | None
) -> Iterator[int | None]:
    """Perceptual hashes of pictures, in order: Pillow decodes in as many threads as there are cores."""
    import imagehash

    def look(name: str) -> int | None:
        """None for a picture that cannot be read, or without anything to tell it by."""
        try:
            with decoded(root / name, max_pixels) as image:
                image.draft('L', (64, 64))  # JPEG is decoded at a fraction of its size; 32 x 32 px are looked at
                bits = imagehash.phash(image).hash
        except Exception:  # readers of formats raise what they like on broken files, which are told elsewhere
            return None
        return int.from_bytes(np.packbits(bits).tobytes(), 'big') if bits.any() else None

    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        warnings.simplefilter('ignore')
        for done, number in enumerate(pool.map(look, names)):
            yield number
            if progress is not None and done % 100 == 0:
                progress('pictures compared', done, len(names))


def _content(path: Path) -> bytes:
    return hashlib.blake2b(path.read_bytes()).digest()
