"""Puts the configs into the wheel, and what is compiled. All else is in pyproject.toml."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

CONFIGS = Path('configs')
NATIVE = Path('effformer_dense/native')


class BuildWithConfigs(build_py):
    """``configs/`` is not inside the package, where setuptools looks for files: it is what users of a checkout name."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # where the checkout's own are found
            for source, target in self._configs().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *self._configs().values()]

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *self._configs()]

    def _configs(self) -> dict[str, str]:
        """{file here: file in the wheel}, where OpenMMLab's packages have their configs."""
        place = Path(self.build_lib, 'effformer_dense', '.mim')
        return {str(path): str(place / path) for path in sorted(CONFIGS.rglob('*.py'))}


def native_extensions() -> list[Extension]:
    """The C++ of ``effformer_dense/native``, which ctypes loads. Without a compiler torch's operators compute."""
    native = SimpleNamespace(**run_path(str(NATIVE / 'builds.py')))
    return [
        Extension(
            f'effformer_dense.native.{name}',
            sources=[str(NATIVE / 'attention.cpp')],
            depends=[str(NATIVE / source) for source in native.SOURCES],
            define_macros=[('SOURCES', f'{native.sources_sum()}u')],
            extra_compile_args=[*native.FLAGS, *flags],
            language='c++',
            optional=True,
        )
        for name, flags in native.builds().items()
    ]


setup(cmdclass={'build_py': BuildWithConfigs}, ext_modules=native_extensions())
