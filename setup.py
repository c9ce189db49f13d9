"""Puts the configs into the wheel. All else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CONFIGS = Path('configs')


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


setup(cmdclass={'build_py': BuildWithConfigs})
