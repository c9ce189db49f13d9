"""Segmentation maps of any coding become one: PNG, classes from 0 to n - 1, 255 where nothing is labelled.

All maps are looked through before one is written: what a value means depends on which values there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import UserError, choice_error, some_of
from ...options import MAX_PIXELS
from ..headers import BrokenPictureError, decoded, read_header
from ..segmentation_maps import UNLABELLED, unstretched
from .findings import Action, Findings
from .formats.class_tables import ClassTable, Colour
from .labels import Labels, Palettes, check_labels
from .pairs import Pair, turn_of

#: More values than this in one data set are no classes but shades: a photograph, or maps that were compressed.
_MOST_VALUES = 1024
#: RGB colours are kept as one number above those of grey maps.
_COLOUR = 1 << 24
#: What maps of 16 bits have for 255.
_UNLABELLED_16 = 65535
#: 1 in a map of one bit, until the other maps have told what that is.
_BIT = _COLOUR - 1
#: How the class is called that is none.
_GROUND = ('background', '_background_', '__background__', 'unlabelled', 'unlabeled', 'unlabel', 'void', 'ignore')
_GREY = ('1', 'L', 'I;16', 'I;16B', 'I', 'P')
_CHANNELS = ('RGB', 'RGBA', 'CMYK', 'YCbCr')


@dataclass
class Survey:
    """Values of the maps of a data set.

    Attributes:
        pixels: how many pixels have a value, or a colour as ``_COLOUR + RGB``.
        pictures: in how many maps it is.
        usable: pairs whose map can be read and fits its picture, and how the map has to be turned (EXIF).
        colours: by which the maps were read.
        bit: what 1 is in maps of one bit.
    """

    pixels: Counter[int] = field(default_factory=Counter)
    pictures: Counter[int] = field(default_factory=Counter)
    usable: list[tuple[Pair, int]] = field(default_factory=list)
    colours: Sequence[Colour] | None = None
    bit: int = 1

    def settle_bits(self, findings: Findings) -> None:
        """1 in maps of one bit is 255 in masks of 0 and 255, and where all maps are such; else class 1."""
        if _BIT not in self.pixels:
            return
        others = set(self.pixels) - {0, _BIT}
        self.bit = 255 if others <= {255} else 1
        if others:
            reason = f'1 in them is {self.bit}, for others have {_some(others)}'
            findings.add(Action.DOUBTFUL, 'maps of one bit', 'maps', '', reason, self.pictures[_BIT])
        for counter in (self.pixels, self.pictures):
            counter[self.bit] += counter.pop(_BIT)

    def example(self, coloured: bool) -> str:
        """Name of a map with colours, or of one without."""
        for pair, _ in self.usable:
            if (read_values(pair[1], self.colours).max() >= _COLOUR) == coloured:
                return pair[1].name
        return '?'

    def take_greys_for_colours(self) -> None:
        """Of coloured maps some are black and grey alone: their values are colours as well."""
        for counter in (self.pixels, self.pictures):
            for value in [value for value in counter if value < _COLOUR]:
                counter[_COLOUR + value * 0x010101] += counter.pop(value)
        self.colours = ()


@dataclass(frozen=True)
class Coding:
    """What the values of a data set's maps mean.

    Attributes:
        classes: names.
        palette: RGB of every class.
        index: value -> class, or 255 for no class.
    """

    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    index: dict[int, int]


def survey_maps(
    pairs: Sequence[Pair],
    findings: Findings,
    colours: Sequence[Colour] | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[str, int, int], None] | None = None,
) -> Survey:
    """Look through all maps.

    Args:
        pairs: picture and map.
        findings: takes note of pairs that are left out.
        colours: that mean classes; a map with a palette is read by its colours if all of them are among these.
        max_pixels: of a picture.
        progress: is told what is done, how many of them, and of how many.

    Raises:
        UserError: no pair can be used, or the maps have more values than classes can be.
    """
    survey, palettes = Survey(colours=colours), Palettes()
    has_plain = False
    for done, pair in enumerate(pairs, start=1):
        try:
            turn = turn_of(pair, findings, max_pixels)
            values, counts = np.unique(read_values(pair[1], colours, max_pixels), return_counts=True)
        except BrokenPictureError as error:
            findings.add(Action.DROPPED, 'pair of picture and map', str(pair[1]), '', str(error))
            continue
        survey.pixels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        survey.pictures.update(values.tolist())
        survey.usable.append((pair, turn))
        if values[-1] < _COLOUR:
            has_plain |= not _has_channels(pair[1], max_pixels)
            palettes.look(str(pair[1]), read_header(pair[1], max_pixels), values.tolist(), findings)
        if len(survey.pixels) > _MOST_VALUES:
            raise UserError(
                f'{pair[1]}: the maps up to here have {len(survey.pixels):,} different values, more than classes can '
                'be. Are they photographs, or were they saved as JPEG or resized with smoothing? Export them as PNG.'
            )
        if progress is not None and done % 100 == 0:
            progress('maps read', done, len(pairs))
    survey.settle_bits(findings)
    if colours is None and not has_plain and any(value >= _COLOUR for value in survey.pixels):
        survey.take_greys_for_colours()
    if not survey.usable:
        raise UserError('No picture has a segmentation map that can be used:\n' + '\n'.join(findings.summary()))
    return survey


def _has_channels(path: Path, max_pixels: int) -> bool:
    with decoded(path, max_pixels) as image:
        return image.mode in _CHANNELS


def read_values(path: Path, colours: Sequence[Colour] | None, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """A map as numbers: (H, W) int32, grey values and indices of a palette as they are, colours as _COLOUR + RGB, and
    1 in maps of one bit as _BIT.

    Raises:
        BrokenPictureError: it cannot be decoded, or has fractions.
    """
    with decoded(path, max_pixels) as image:
        if image.mode == 'P' and colours is not None and _palette_of(image) <= set(colours):
            image = image.convert('RGB')
        elif image.mode == 'LA':
            image = image.getchannel('L')
        if image.mode == '1':
            return np.asarray(image).astype(np.int32) * _BIT
        if image.mode in _GREY:
            with path.open('rb') as file:
                return unstretched(np.asarray(image).astype(np.int32), file.read(26))
        if image.mode not in _CHANNELS:
            raise BrokenPictureError(f'mode {image.mode}: a map has whole numbers or colours')
        rgb = np.asarray(image.convert('RGB')).astype(np.int32)  # alpha tells no class
    packed = (rgb[..., 0] << 16) | (rgb[..., 1] << 8) | rgb[..., 2]
    grey = (rgb[..., 0] == rgb[..., 1]) & (rgb[..., 1] == rgb[..., 2])
    if colours is None and grey.all():  # grey maps that a tool saved with three channels
        return rgb[..., 0]
    return packed + _COLOUR


def choose_coding(
    survey: Survey,
    names: Sequence[str] | None,
    table: ClassTable | None,
    ignored: Sequence[int | str],
    findings: Findings,
) -> Coding:
    """Decide what the values mean.

    Args:
        survey: of all maps.
        names: of the classes in order; None if nobody said.
        table: names with colours or numbers; None without.
        ignored: values that mean nothing, besides 255; of coloured maps, names of the table.
        findings: takes note of what was decided.

    Raises:
        UserError: values that no class has; what is ignored is not there; or no pixel is labelled.
    """
    values = sorted(survey.pixels)
    numbers = [value for value in ignored if isinstance(value, int)]
    words = [value for value in ignored if isinstance(value, str)]
    if any(value >= _COLOUR for value in values):
        if any(value < _COLOUR for value in values):
            raise UserError(
                f'Some maps are grey, such as {survey.example(coloured=False)}, and some are coloured, such as '
                f'{survey.example(coloured=True)}. Export all of them in one way.'
            )
        if numbers or (words and (table is None or table.colours is None)):
            raise UserError(
                f'--ignore {" ".join(map(str, ignored))}: these maps have colours. Of such, --ignore takes names of '
                'classes, which a file of colours beside the maps tells, or --colours FILE.'
            )
        _check_names(names, table)
        coding = _code_colours(values, survey, table, words, findings)
    elif words:
        raise UserError(f'--ignore {words[0]}: these maps have numbers, up to {values[-1]}. Name the number.')
    else:
        if table is not None and names is None:
            names = table.names
        if table is not None and table.values is not None:
            _check_names(names, table)
            coding = _code_by_table(values, table, numbers)
        else:
            coding = _code_numbers(values, names, numbers, findings)
    check_labels(_labels(coding, survey), findings)
    coding.index[_BIT] = coding.index.get(survey.bit, UNLABELLED)
    return coding


def _check_names(names: Sequence[str] | None, table: ClassTable | None) -> None:
    """Names of one's own take the places of those of a table, of which there have to be as many."""
    if names is not None and table is not None and tuple(names) != table.names:
        raise UserError(
            f'--classes names {len(names)}, and {table.source} has {len(table.names)}: {some_of(table.names, 5)}. Name '
            'as many, in its order, or leave the option out.'
        )


def canonical_map(
    path: Path, coding: Coding, turn: int, colours: Sequence[Colour] | None, max_pixels: int
) -> np.ndarray:
    """One map in the canonical coding: (H, W) uint8.

    Args:
        path: the map.
        coding: of the data set that it belongs to.
        turn: EXIF orientation of the picture that the map has to follow; 1 for none.
        colours: as in the survey.
        max_pixels: of a picture.
    """
    values = read_values(path, colours, max_pixels)
    known = np.array(sorted(coding.index), dtype=np.int32)
    indices = np.array([coding.index[value] for value in known.tolist()], dtype=np.uint8)
    return turned(indices[np.searchsorted(known, values)], turn)


def turned(array: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W) turned as decoders turn a picture with this EXIF orientation (TIFF 6.0, tag 274)."""
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        5: lambda a: a.T,
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).T,
        8: np.rot90,
    }
    return np.ascontiguousarray(turns[orientation](array)) if orientation in turns else array


def _palette_of(image: Image.Image) -> set[Colour]:
    """Colours that pixels of a picture with a palette have."""
    found = image.convert('RGB').getcolors(_MOST_VALUES) or []
    return {tuple(colour) for _, colour in found}  # type: ignore[misc, arg-type]


def _code_colours(
    values: list[int], survey: Survey, table: ClassTable | None, ignored: Sequence[str], findings: Findings
) -> Coding:
    colours = [_rgb(value) for value in values]
    if table is None or table.colours is None:
        order = sorted(values, key=lambda value: (_rgb(value) != (0, 0, 0), value))  # black is the ground, usually
        names = tuple(f'#{value - _COLOUR:06x}' for value in order)
        reason = (
            f'{len(order)} colours found; nothing names them, so classes are called by them: {", ".join(names[:8])}'
        )
        findings.add(Action.DOUBTFUL, 'classes without names', 'maps', '', f'{reason} (--colours FILE names them)')
        return Coding(names, tuple(map(_rgb, order)), {value: number for number, value in enumerate(order)})
    numbers = {colour: number for number, colour in enumerate(table.colours)}
    unknown = [value for value, colour in zip(values, colours, strict=True) if colour not in numbers]
    if unknown:
        some = ', '.join(f'{_rgb(value)} in {survey.pixels[value]:,} pixels' for value in unknown[:5])
        raise UserError(
            f'{len(unknown)} colours of the maps are not in {table.source}: {some}. Add them there; or were the maps '
            'smoothed, or saved as JPEG?'
        )
    for name in ignored:
        if name not in table.names:
            raise choice_error('--ignore', name, table.names)
    kept = [number for number, name in enumerate(table.names) if name not in ignored]
    places = {number: place for place, number in enumerate(kept)}
    index = {value: places.get(numbers[colour], UNLABELLED) for value, colour in zip(values, colours, strict=True)}
    return Coding(tuple(table.names[n] for n in kept), tuple(table.colours[n] for n in kept), index)


def _code_by_table(values: list[int], table: ClassTable, ignored: Sequence[int]) -> Coding:
    """By the numbers that the table gives its classes."""
    assert table.values is not None
    numbers = {value: number for number, value in enumerate(table.values)}
    index = {value: numbers.get(value, UNLABELLED) for value in values}
    void = {UNLABELLED, _UNLABELLED_16, *ignored}
    unknown = [value for value in values if value not in numbers and value not in void]
    if unknown:
        raise UserError(f'{table.source} has no class with the number {unknown[0]}, and pixels of the maps have it.')
    index |= {value: UNLABELLED for value in values if value in ignored}
    return Coding(table.names, table.colours or default_palette(len(table.names)), index)


def _code_numbers(values: list[int], names: Sequence[str] | None, ignored: Sequence[int], findings: Findings) -> Coding:
    void = {UNLABELLED, _UNLABELLED_16, *ignored}
    if 0 in ignored and names and names[0].lower() in _GROUND:
        names = names[1:]  # what 0 is called, which means nothing
    kept = [value for value in values if value not in void]
    if set(values) == {0, 255} and (names is None or len(names) == 2):
        findings.add(Action.REPAIRED, 'masks of 0 and 255', 'maps', '', '255 is class 1 and 0 is class 0: two classes')
        names = tuple(names or ('background', 'foreground'))
        return Coding(tuple(names), default_palette(2), {0: UNLABELLED if 0 in ignored else 0, 255: 1})
    if not kept:
        return Coding(tuple(names or ()), default_palette(len(names or ())), dict.fromkeys(values, UNLABELLED))
    index = dict.fromkeys(values, UNLABELLED)
    if names is None:
        dense = max(kept) < max(2 * len(kept), 3) or max(kept) < 3
        count = max(kept) + 1 if dense else len(kept)
        numbers = {value: value if dense else place for place, value in enumerate(kept)}
        names = tuple(f'class {value}' for value in (range(count) if dense else kept))
        reason = f'values {kept[0]} to {kept[-1]}, {len(kept)} of them; nothing names them: {", ".join(names[:5])}'
        findings.add(Action.DOUBTFUL, 'classes without names', 'maps', '', f'{reason} (--classes names them)')
    elif 0 in ignored and max(kept) <= len(names):
        numbers = {value: value - 1 for value in kept}
        findings.add(Action.REPAIRED, 'classes counted from 1', 'maps', '', f'0 is no class, and 1 is {names[0]!r}')
    elif 0 not in ignored and max(kept) < len(names):
        numbers = {value: value for value in kept}
    else:
        first = int(0 in ignored)
        hint = '' if first else '; or where classes count from 1 and 0 means nothing: --ignore 0'
        raise UserError(
            f'The maps have values up to {max(kept)}, and there are {len(names)} classes, {first} to '
            f'{len(names) - 1 + first}: {", ".join(names[:5])}. Name all classes with --classes{hint}'
        )
    if len(names) > UNLABELLED:
        raise UserError(f'{len(names)} classes: segmentation maps can tell {UNLABELLED} of them.')
    return Coding(tuple(names), default_palette(len(names)), index | numbers)


def _labels(coding: Coding, survey: Survey) -> Labels:
    pixels = [0] * (UNLABELLED + 1)
    for value, index in coding.index.items():
        pixels[index] += survey.pixels[value]
    return Labels(coding.classes, pixels[: len(coding.classes)], _some(survey.pixels), f'{len(survey.usable):,} maps')


def _some(values: Iterable[int]) -> str:
    return some_of(sorted(value & (_COLOUR - 1) for value in values), 8)


def _rgb(value: int) -> Colour:
    return (value >> 16) & 255, (value >> 8) & 255, value & 255


def default_palette(count: int) -> tuple[Colour, ...]:
    """Pascal VOC's colours: bits of the number dealt to the channels, the highest first; black for 0."""
    palette = []
    for number in range(count):
        channels = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                channels[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
        palette.append((channels[0], channels[1], channels[2]))
    return tuple(palette)
