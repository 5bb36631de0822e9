"""Compiles the hot loops (*.pyx) when the package is built or installed for development.

It needs a C compiler. Where there is none, the package is built without them: it says the same, slower
(`monitor.read_decisions`, `monitor.streaming.records`).
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

MODULES = ("monitor.scan", "monitor.streaming.unpack")


class CompileHotLoops(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling finds it by its base class."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the compiled modules into a wheel; for development, beside their sources."""
        root, build = Path(self.root), Path(self.root, "build", "compiled")
        shutil.rmtree(build, ignore_errors=True)
        if version == "editable":
            for former in (file for name in MODULES for file in root.glob(f"{name.replace('.', '/')}.*.so")):
                former.unlink()
        try:
            found = compiled(root, build)
        except (BaseError, CCompilerError) as error:
            self.app.display_warning(f"{', '.join(MODULES)}: not compiled, records will be read slowly: {error}")
            return
        for module in found:
            place = module.relative_to(build / "lib")
            if version == "editable":
                module.replace(root / place)
            else:
                build_data["force_include"][str(module)] = str(place)
                build_data["pure_python"] = False
                build_data["infer_tag"] = True


def compiled(root: Path, build: Path) -> list[Path]:
    """Compile the modules; their files. Raises BaseError or CCompilerError where that cannot be done."""
    extensions = [
        Extension(name, [str(root / f"{name.replace('.', '/')}.pyx")], extra_compile_args=["-g0"]) for name in MODULES
    ]
    command = build_ext(Distribution({"ext_modules": cythonize(extensions, build_dir=str(build), quiet=True)}))
    command.build_lib, command.build_temp = str(build / "lib"), str(build / "temp")
    command.ensure_finalized()
    command.run()
    return [Path(file) for file in command.get_outputs()]
