"""What a user is told, whichever way the error took."""

from __future__ import annotations

import pickle

import pytest
from torch.utils.data import DataLoader

from effformer_dense.data.segmentation_maps import read_segmentation_map
from effformer_dense.errors import MissingFileError, MissingPackageError, UserError, choice_error, message_of
from effformer_dense.mmcv_ops import MmcvError


@pytest.mark.parametrize(
    ('cls', 'builtin'), [(UserError, ValueError), (MissingFileError, FileNotFoundError), (MmcvError, ImportError)]
)
def test_errors_are_what_python_programs_expect(cls: type[UserError], builtin: type[Exception]) -> None:
    error = pickle.loads(pickle.dumps(cls('Name another file.')))
    assert type(error) is cls and isinstance(error, builtin) and isinstance(error, UserError)
    assert str(error) == message_of(error) == 'Name another file.'


def test_missing_package_says_which() -> None:
    assert MissingPackageError('There is no mmcv.', name='mmcv').name == 'mmcv'


def test_choice_error_names_the_nearest_whatever_its_case() -> None:
    assert str(choice_error('arch', 'S0', ['s0', 'l'])) == "arch must be one of s0, l; got 'S0'. Did you mean 's0'?"
    assert str(choice_error('arch', 'xxl', ['s0'])) == "arch must be one of s0; got 'xxl'."


class _Labels:
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> object:
        return read_segmentation_map('gone\nfor good.png')  # a message of several lines


def test_message_of_a_loading_process_comes_out_as_it_was_raised() -> None:
    with pytest.raises(UserError, match='Traceback') as caught:
        list(DataLoader(_Labels(), num_workers=1))
    assert message_of(caught.value).startswith('gone\nfor good.png: cannot be read (No such file or directory).')
    assert message_of(caught.value).endswith('Every picture needs its segmentation map.')


def test_names_that_registries_put_before_it_are_taken_off() -> None:
    wrapped = 'class `MaskRCNN` in mmdet/models/a.py: class `EfficientFormerV2` in effformer_dense/b.py: arch is wrong.'
    assert message_of(UserError(wrapped)) == 'arch is wrong.'
