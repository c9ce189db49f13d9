"""The command ``eval-ade20k``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ..errors import UserError
from ..options import MAX_PIXELS, check_max_pixels


def eval_ade20k(
    predictions: Path,
    annotations: Path,
    classes: Path | None = None,
    first_class: tuple[Literal[0, 1], ...] = (),
    out_dir: Path | None = None,
    max_pixels: int = MAX_PIXELS,
) -> None:
    """Score a folder of segmentation maps against ADE20K's annotations, or others numbered like them.

        COMMAND PREDICTIONS data/ade/ADEChallengeData2016/annotations/validation
        COMMAND PREDICTIONS ANNOTATIONS --classes my_classes.txt --first-class 0 --out-dir scores

    No model, no config. Both folders hold PNGs of one channel, of the same names, with classes from 1 upwards: 1 to 150
    for ADE20K. Pixels that the annotation has as 0 count nowhere. Other numbering: --first-class. A class that is in
    neither folder is left out of the mean.

    Args:
        predictions: folder of predicted segmentation maps
        annotations: folder of annotations
        classes: file of names, one per line (without it: ADE20K's 150)
        first_class: number of the first class in both folders: 1 (0 is unlabelled) or 0 (255 is unlabelled);
            two numbers where they differ, annotations first, e.g. 1 0 (without it: 1)
        out_dir: write scores.json and scores.csv there
        max_pixels: largest map that is read
    """
    if len(first_class) > 2:
        raise UserError(f'--first-class takes one number, or two; got {len(first_class)}.')
    check_max_pixels(max_pixels)
    from ..files import make_output_dir
    from ..segmentation.folder_scores import ade20k_classes, read_class_names, score_folders
    from ..segmentation.numbering import Numbering
    from ..segmentation.report import score_table, write_scores

    names = read_class_names(classes) if classes else ade20k_classes()
    numbering = Numbering(first_class[0], first_class[-1]) if first_class else None
    if out_dir:
        make_output_dir(out_dir)
    result = score_folders(predictions, annotations, names, numbering, max_pixels)
    print(score_table(result.scores))
    print('\n'.join(f'{name}: {value:.6f}' for name, value in result.scores.summary().items()))
    if out_dir:
        source = dict(predictions=str(predictions), annotations=str(annotations))
        print(f'Scores: {", ".join(map(str, write_scores(result.scores, out_dir, source)))}')
    for note in result.notes:
        print(note)
