"""The command line: what it is made of, what it takes, and what it says of mistakes."""

from __future__ import annotations

import errno
import shlex
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from effformer_dense.commands import cli
from effformer_dense.config import home
from effformer_dense.config.load import load_config
from effformer_dense.engine import infer as infer_module
from effformer_dense.engine import runner
from effformer_dense.errors import UserError
from effformer_dense.files import make_output_dir
from effformer_dense.invocation import command
from effformer_dense.options import ConfigOptions, EvaluationOptions, InferOptions, TrainOptions
from tests.helpers import PROJECT_ROOT


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What the commands call in the engine, instead of calling it."""
    seen: list[tuple] = []
    monkeypatch.setattr(runner, 'train', lambda *given: seen.append(given) or Path('work'))
    monkeypatch.setattr(runner, 'evaluate', lambda *given: seen.append(given) or {})
    monkeypatch.setattr(infer_module, 'infer', lambda *given: seen.append(given) or Path('out'))
    return seen


def _plain(options: ConfigOptions) -> ConfigOptions:
    return ConfigOptions(**vars(options))


@pytest.mark.parametrize(
    ('line', 'expected', 'resume'),
    [
        ('', ConfigOptions(Path('maskrcnn_v2_s0_shapes')), None),
        ('c.py --resume', ConfigOptions(Path('c.py')), 'auto'),
        ('c.py --resume e.pth --amp', ConfigOptions(Path('c.py'), amp=True), 'e.pth'),
        ('--local_rank 1 c.py --launcher pytorch', ConfigOptions(Path('c.py'), launcher='pytorch'), None),
        ('--local-rank=1 c.py --work-dir=w', ConfigOptions(Path('c.py'), work_dir=Path('w')), None),
        ('c.py --cfg-options a=1 b=2 --cfg-options=c=-3', ConfigOptions(Path('c.py'), ('a=1', 'b=2', 'c=-3')), None),
        (
            'c.py --cfg_options a_b=1 --amp --cfg-options c=d',
            ConfigOptions(Path('c.py'), ('a_b=1', 'c=d'), amp=True),
            None,
        ),
        (
            '--cfg-options a=1 --auto-scale-lr',
            ConfigOptions(Path('maskrcnn_v2_s0_shapes'), ('a=1',), auto_scale_lr=True),
            None,
        ),
    ],
)
def test_train(
    calls: list[tuple], line: str, expected: ConfigOptions, resume: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('LOCAL_RANK', '0')  # to be put back
    cli.main('train', line.split())
    ((options, given_resume, training),) = calls
    assert (_plain(options), given_resume, training) == (expected, resume, TrainOptions())


def test_what_training_prints_for_copying_can_be_typed(
    calls: list[tuple], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('sys.argv', ['effdense'])
    line = ['my config.py', '--amp', '--data-root', 'my data', '--work-dir', 'w', '--cfg-options', 'a=[1, 2]', 'b=3']
    cli.main('train', line)
    program, command_, *printed = shlex.split(capsys.readouterr().out.partition('Evaluate and draw:')[2])
    assert (program, command_) == ('effdense', 'test')
    cli.main('test', printed)
    (options, evaluation) = calls[-1]
    expected = ConfigOptions(Path('my config.py'), ('a=[1, 2]', 'b=3'), data_root=Path('my data'))
    assert _plain(options) == expected
    assert evaluation == EvaluationOptions(Path('work'), Path('work/pictures'))


@pytest.mark.parametrize(
    ('command_', 'reads'),
    [('train --help', False), ('train --help', True), ('--help', False), ('train --no-such-option', False)],
)
def test_whoever_reads_may_stop(command_: str, reads: bool) -> None:
    """As in ``effdense train --help | head -3``."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'effformer_dense', *command_.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    if reads:
        process.stdout.read(1)
    process.stdout.close()
    told = process.stderr.read().decode()
    assert process.wait() in (0, 2, 128 + signal.SIGPIPE) and 'Traceback' not in told and 'Exception' not in told


def test_a_full_disk_is_no_fault_of_the_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device', '/full/predictions.json')

    monkeypatch.setattr(infer_module, 'infer', fill)
    with pytest.raises(SystemExit) as stop:
        cli.main('infer', ['c.py', 'k.pth', 'pictures'])
    assert stop.value.code == 2
    assert '/full/predictions.json could not be written: No space left on device' in capsys.readouterr().err


def test_options_of_training_alone(calls: list[tuple]) -> None:
    cli.main('train', 'c.py --seed 7 --skip-bad-steps 3 --bad-data skip'.split())
    ((_, _, training),) = calls
    assert training == TrainOptions(seed=7, skip_bad_steps=3, bad_data='skip')


def test_test_and_infer(calls: list[tuple]) -> None:
    cli.main('test', 'c.py k.pth --show-dir d --show-count 3 --save-segmentation-maps l --fuse --window-px 512'.split())
    cli.main('infer', 'c.py k.pth pics/ --score-threshold 0.1 --skip-bad --cfg-options a=1'.split())
    (test, evaluation), (config, inference) = calls
    assert _plain(test) == ConfigOptions(Path('c.py'), window_px=512)
    assert evaluation == EvaluationOptions(Path('k.pth'), Path('d'), 3, save_segmentation_maps=Path('l'), fuse=True)
    assert _plain(config) == ConfigOptions(Path('c.py'), ('a=1',))
    assert inference == InferOptions(Path('k.pth'), 'pics/', score_threshold=0.1, skip_bad=True)


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('train c.py --launchr pytorch', '--launcher'),
        ('train c.py --launcher bogus', 'bogus'),
        ('train c.py --window-px 5', '--window-px'),
        ('train --resume c.py', 'Name the config before --resume'),
        ('train c.py --resume a b', 'one checkpoint at most'),
        ('test c.py', 'CHECKPOINT'),
        ('test c.py k.pth --show-count -1', '--show-count -1 is negative'),
        ('test c.py k.pth --show-count many', 'many'),
        ('test c.py k.pth --from-scratch', '--from-scratch'),
        ('infer c.py k.pth p --score-threshold 7', '--score-threshold 7.0 is not between 0 and 1'),
        ('infer c.py k.pth p --amp', '--amp'),
        ('benchmark', 'Name what to measure'),
        ('compare v2_s0', 'Name two backbones or more'),
        ('compare v2_s0 resnet18 --size 64', '--size'),
        ('compare v2_s0 c.py', 'Config c.py is not there'),
        ('benchmark v2_s0 --batch 0', '--batch 0 is not 1 or more'),
        ('benchmark v2_s0 --sizes 800y', '800y'),
        ('prepare-data cocoa', 'cocoa'),
        ('eval-ade20k a b --first-class 1 0 1', '--first-class takes one number, or two; got 3'),
        ('convert a b --to keras', 'keras'),
        ('train c.py --seed 1 --seed=2', '--seed is given 2 times'),
        ('train c.py --cfg_options --amp', '--cfg-options takes one value or more'),
        ('train c.py --cfg-options', '--cfg-options takes one value or more, separated by spaces; got none'),
        ('train --cfg-options --amp', '--cfg-options takes one value or more'),
        ('train --cfg-options=', 'The value after --cfg-options is empty'),
        ('train --work-dir=', 'The value after --work-dir is empty: give one, or leave it out'),
        ('train --local-rank -1', '--local-rank -1 is negative'),
        ('eval-ade20k a b --first-class', '--first-class takes one value or more'),
        ('benchmark v2_s0 --sizes --modes eager', '--sizes takes one value or more'),
        ('benchmark v2_s0 --sizes 64x', "BATCHxHEIGHTxWIDTH, such as 512, 800x1344 or 8x224x224; got '64x'"),
        ('benchmark v2_s0 --sizes -5', "such as 512, 800x1344 or 8x224x224; got '-5'"),
        ('benchmark v2_s0 --sizes 99999999', 'to 65,535 px; got 99999999x99999999'),
        ('benchmark v2_s0 --device gpu', "--device must be cpu, cuda, cuda:NUMBER or mps; got 'gpu'"),
        ('benchmark v2_s0 --threads 99999', '--threads 99999 is more than the'),
    ],
)
def test_wrong_options_are_told_with_status_2(line: str, message: str, capsys: pytest.CaptureFixture) -> None:
    name, *arguments = line.split()
    with pytest.raises(SystemExit) as stop:
        cli.main(name, arguments)
    assert stop.value.code == 2
    told = ' '.join(capsys.readouterr().err.replace('│', ' ').split())
    assert message in told and 'Traceback' not in told


@pytest.mark.parametrize(
    'line', [['train', ''], ['infer', 'c.py', '', 'pics'], ['eval-ade20k', 'a', 'b', '--out-dir', '']]
)
def test_empty_paths_do_not_mean_the_current_folder(line: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(line[0], line[1:])
    assert stop.value.code == 2 and 'is empty: give one, or leave it out' in capsys.readouterr().err


def test_the_backbone_may_be_at_the_top(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        cli.main('convert', [str(tmp_path / 'gone.pth'), str(tmp_path / 'out.pth'), '--prefix', ''])
    assert 'gone.pth is no file' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('destination', 'message'),
    [
        ('folder.pth', 'folder.pth is a folder; the name of a file is expected'),
        ('file/out.pth', 'file is a file. Name another place for the results'),
        ('out', 'out has no ending: .pth or .safetensors says what is to be written'),
    ],
)
def test_a_destination_that_cannot_be_written(
    destination: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / 'folder.pth').mkdir()
    (tmp_path / 'file').touch()
    with pytest.raises(SystemExit):
        cli.main('convert', [str(tmp_path / 'gone.pth'), str(tmp_path / destination)])
    assert message in capsys.readouterr().err


def test_a_file_system_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, 'Read-only file system')

    monkeypatch.setattr(Path, 'mkdir', refuse)
    with pytest.raises(UserError, match=r'new cannot be made: Read-only file system\. Name another place'):
        make_output_dir(tmp_path / 'new')


def test_faults_of_the_program_keep_their_traceback(calls: list[tuple], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError('a fault')

    monkeypatch.setattr(runner, 'train', fail)
    with pytest.raises(ValueError, match='a fault'):
        cli.main('train', [])


@pytest.mark.parametrize(
    ('started', 'expected'),
    [
        ('/usr/bin/effdense', 'effdense convert'),
        ('tools/test.py', 'python tools/convert_checkpoint.py'),
        ('../my code/tools/test.py', "python '../my code/tools/convert_checkpoint.py'"),
        ('/x/effformer_dense/__main__.py', 'python -m effformer_dense convert'),
    ],
)
def test_messages_name_commands_as_they_were_typed(
    started: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, 'argv', [started])
    assert command('convert') == expected


@pytest.mark.parametrize(
    'name',
    [
        'maskrcnn_v2_s0_shapes',
        'maskrcnn_v2_s0_shapes.py',
        'configs/maskrcnn_v2_s0_shapes.py',
        'effformer_dense::maskrcnn_v2_s0_shapes.py',
        'effformer_dense::maskrcnn_v2_s0_shapes',
    ],
)
def test_configs_are_found_by_name_from_anywhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cfg = load_config(ConfigOptions(Path(name)))
    assert cfg.work_dir == 'work_dirs/maskrcnn_v2_s0_shapes'


def test_configs_of_users_build_on_ours(tmp_path: Path) -> None:
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = ['effformer_dense::maskrcnn_v2_s0_coco.py']\nmodel = dict(backbone=dict(arch='s1'))\n")
    cfg = load_config(ConfigOptions(path))
    assert (cfg.model.backbone.type, cfg.model.backbone.arch) == ('EfficientFormerV2', 's1')
    assert '_scope_' not in str(cfg._cfg_dict)
    path.write_text("_base_ = ['effformer_dense::maskrcnn_v2_s0_coko.py']\n")
    with pytest.raises(UserError, match="Did you mean 'effformer_dense::maskrcnn_v2_s0_coco'"):
        load_config(ConfigOptions(path))


@pytest.mark.slow
def test_wheel_has_commands_and_configs(tmp_path: Path) -> None:
    build = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', str(tmp_path)]
    subprocess.run([*build, str(PROJECT_ROOT)], check=True)
    (wheel,) = tmp_path.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / 'site')
        (entry_points,) = (archive.read(name).decode() for name in names if name.endswith('entry_points.txt'))
    assert 'effdense = effformer_dense.commands.cli:effdense' in entry_points
    configs = {f'effformer_dense/.mim/configs/{p.relative_to(home.CONFIGS)}' for p in home.CONFIGS.rglob('*.py')}
    assert len(configs) > 30 and configs == {name for name in names if '/.mim/' in name}
    assert not [name for name in names if name.startswith(('tests/', 'tools/', 'configs/', 'setup'))]
    script = 'from effformer_dense.config.home import *; print(CHECKOUT, find_config("maskrcnn_v2_l_coco"))'
    done = subprocess.run(
        [sys.executable, '-c', script], cwd=tmp_path / 'site', capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ['None', str(tmp_path / 'site/effformer_dense/.mim/configs/maskrcnn_v2_l_coco.py')]
