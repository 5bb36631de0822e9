"""Compiles monitor/scan.pyx when the package is built or installed for development.

It needs a C compiler. Where there is none, the package is built without the scanner: it says the same, slower
(`monitor.read_decisions`).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from Cython.Build import cythonize
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

MODULE = "monitor.scan"
SOURCE = "monitor/scan.pyx"


class CompileScanner(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling finds it by its base class."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the compiled module into a wheel; for development, beside its source."""
        root, build = Path(self.root), Path(self.root, "build", "scan")
        shutil.rmtree(build, ignore_errors=True)
        if version == "editable":
            for former in root.glob(f"{SOURCE.removesuffix('.pyx')}.*.so"):
                former.unlink()
        try:
            module = compiled(root, build)
        except (BaseError, CCompilerError) as error:
            self.app.display_warning(f"{SOURCE} was not compiled, decisions will be read slowly: {error}")
            return
        place = module.relative_to(build / "lib")
        if version == "editable":
            module.replace(root / place)
        else:
            build_data["force_include"][str(module)] = str(place)
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


def compiled(root: Path, build: Path) -> Path:
    """Compile the module; its file. Raises BaseError or CCompilerError where that cannot be done."""
    extension = Extension(MODULE, [str(root / SOURCE)], extra_compile_args=["-g0"])
    command = build_ext(Distribution({"ext_modules": cythonize([extension], build_dir=str(build), quiet=True)}))
    command.build_lib, command.build_temp = str(build / "lib"), str(build / "temp")
    command.ensure_finalized()
    command.run()
    (file,) = command.get_outputs()
    return Path(file)
