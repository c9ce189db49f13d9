"""Score a folder of label PNGs against ADE20K's annotations, or others numbered like them. No model, no config.

python tools/eval_ade20k.py PREDICTIONS data/ade/ADEChallengeData2016/annotations/validation
python tools/eval_ade20k.py PREDICTIONS ANNOTATIONS --classes my_classes.txt --out-dir scores

Both folders hold PNGs of one channel and of the same names, with labels from 1 upwards: 1 to 150 for ADE20K. Pixels
that the annotation labels 0 count nowhere. A class that is in neither folder is left out of the mean.
"""

import argparse
from pathlib import Path

from arguments import run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('predictions', type=Path, help='folder of predicted labels')
    parser.add_argument('annotations', type=Path, help='folder of annotations')
    parser.add_argument('--classes', type=Path, metavar='FILE', help="names, one per line (default: ADE20K's 150)")
    parser.add_argument('--zero-based-predictions', action='store_true', help='predictions are numbered from 0')
    parser.add_argument('--out-dir', type=Path, help='write scores.json and scores.csv there')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from effformer_dense.segmentation.label_folders import ade20k_classes, read_class_names, score_folders
    from effformer_dense.segmentation.report import score_table, write_scores

    classes = read_class_names(args.classes) if args.classes else ade20k_classes()
    scores, extra = score_folders(args.predictions, args.annotations, classes, args.zero_based_predictions)
    print(score_table(scores))
    if extra:
        print(f'{len(extra)} predictions have no annotation and were not scored: {", ".join(extra[:3])}')
    print('\n'.join(f'{name}: {value:.6f}' for name, value in scores.summary().items()))
    if args.out_dir:
        paths = write_scores(scores, args.out_dir)
        print(f'Scores: {", ".join(map(str, paths))}')


if __name__ == '__main__':
    run(main)
