"""Score a folder of segmentation maps against ADE20K's annotations, or others numbered like them. No model, no config.

python tools/eval_ade20k.py PREDICTIONS data/ade/ADEChallengeData2016/annotations/validation
python tools/eval_ade20k.py PREDICTIONS ANNOTATIONS --classes my_classes.txt --first-class 0 --out-dir scores

Both folders hold PNGs of one channel, of the same names, with classes from 1 upwards: 1 to 150 for ADE20K. Pixels that
the annotation has as 0 count nowhere. Other numbering: --first-class. A class that is in neither folder is left out of
the mean.
"""

import argparse
from pathlib import Path

from arguments import run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('predictions', type=Path, help='folder of predicted segmentation maps')
    parser.add_argument('annotations', type=Path, help='folder of annotations')
    parser.add_argument('--classes', type=Path, metavar='FILE', help="names, one per line (default: ADE20K's 150)")
    parser.add_argument(
        '--first-class',
        nargs='+',
        type=int,
        choices=(0, 1),
        metavar='NUMBER',
        help='number of the first class in the files of both folders: 1 (default; 0 is unlabelled) or 0 (255 is '
        'unlabelled). Two numbers where they differ, annotations first: --first-class 1 0',
    )
    parser.add_argument('--out-dir', type=Path, help='write scores.json and scores.csv there')
    args = parser.parse_args()
    if args.first_class and len(args.first_class) > 2:
        parser.error(f'--first-class takes one number, or two; got {len(args.first_class)}.')
    return args


def main() -> None:
    args = parse_args()
    from effformer_dense.files import check_output_dir
    from effformer_dense.segmentation.folder_scores import ade20k_classes, read_class_names, score_folders
    from effformer_dense.segmentation.numbering import Numbering
    from effformer_dense.segmentation.report import score_table, write_scores

    if args.out_dir:
        check_output_dir(args.out_dir)
    classes = read_class_names(args.classes) if args.classes else ade20k_classes()
    numbering = Numbering(args.first_class[0], args.first_class[-1]) if args.first_class else None
    result = score_folders(args.predictions, args.annotations, classes, numbering)
    print(score_table(result.scores))
    print('\n'.join(f'{name}: {value:.6f}' for name, value in result.scores.summary().items()))
    if args.out_dir:
        source = dict(predictions=str(args.predictions), annotations=str(args.annotations))
        paths = write_scores(result.scores, args.out_dir, source)
        print(f'Scores: {", ".join(map(str, paths))}')
    for note in result.notes:
        print(note)


if __name__ == '__main__':
    run(main)
