"""What is known of every file format, and asked of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from torch.export import ExportedProgram

from ...errors import MissingPackageError, UserError
from ...runtime.sessions import Arrays

#: From the inputs by name to the outputs by name.
Run = Callable[[Arrays], Arrays]


class Format(ABC):
    """A file format: a recorded program to a file, and a file to a function on arrays, by the maker's own tools.

    Attributes:
        name: as the command line has it.
        suffix: of its files.
        extra: of this package, with what it needs.
        packages: modules that must be there to write it.
        precisions: in which it can compute.
        any_size: whether one file can take pictures of any size.
        runs_here: whether its files can be run on this machine, and so be compared with PyTorch.
        unverified: what is said where they cannot.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    extra: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    precisions: ClassVar[tuple[str, ...]] = ('fp32',)
    any_size: ClassVar[bool] = True
    runs_here: ClassVar[bool] = True
    unverified: ClassVar[str] = ''

    def check(self) -> None:
        """Its packages are there; raises ``MissingPackageError``."""
        for package in self.packages:
            if find_spec(package) is None:
                raise MissingPackageError(
                    f"--format {self.name} needs the package {package}: pip install 'effformer_dense[{self.extra}]'"
                )

    def check_precision(self, precision: str) -> None:
        """It can compute in this precision; raises ``UserError``."""
        if precision not in self.precisions:
            raise UserError(
                f'--precision {precision}: {self.name} files are to be had in {", ".join(self.precisions)}.'
            )

    @abstractmethod
    def write(
        self,
        program: ExportedProgram,
        path: Path,
        outputs: Sequence[str],
        precision: str = 'fp32',
    ) -> None:
        """Write a program.

        Args:
            program: of :func:`..record.record`; its inputs keep their names.
            path: what to write, in a folder of its own.
            outputs: names of the outputs, in the order of the program's.
            precision: one of ``precisions``.

        Raises:
            UserError: an operator that the format does not have.
        """

    @abstractmethod
    def describe(self, path: Path, text: str) -> None:
        """Store a text, of :class:`...runtime.metadata.Metadata`, in a file; it replaces one that is there."""

    @abstractmethod
    def open(self, path: Path, outputs: Sequence[str] = ()) -> Run:
        """Open a file for its own runtime.

        Args:
            path: that :meth:`write` wrote and :meth:`describe` described.
            outputs: their names, for formats that do not keep them.

        Raises:
            UserError: a runtime that cannot open it.
        """

    def structure(self, path: Path) -> dict[str, int]:
        """Operators in a file and how often they occur: all that can be told of one that does not run here."""
        raise NotImplementedError(f'{self.name} files are run')
