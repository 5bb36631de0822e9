"""Compiles the hot loops (*.pyx, and *.py beside a *.pxd) when the package is built or installed for development.

It needs a C compiler. Where there is none, the package is built without them (`monitor.hot_loops`).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from Cython.Build import cythonize
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

PACKAGES = ("detectors", "monitor")
COMPILER = ["-g0", "-ffp-contract=off"]  # a * b + c rounds twice, as in Python: the same bits on every machine


class CompileHotLoops(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling finds it by its base class."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the compiled modules into a wheel; for development, beside their sources."""
        root, build = Path(self.root), Path(self.root, "build", "compiled")
        shutil.rmtree(build, ignore_errors=True)
        sources = hot_loops(root)
        if version == "editable":
            for former in (file for source in sources for file in root.glob(f"{source.with_suffix('')}.*.so")):
                former.unlink()
        try:
            found = compiled(root, sources, build)
        except (BaseError, CCompilerError) as error:
            self.app.display_warning(
                f"{', '.join(map(str, sources))}: not compiled, all works alike but slowly: {error}"
            )
            return
        for module in found:
            place = module.relative_to(build / "lib")
            if version == "editable":
                module.replace(root / place)
            else:
                build_data["force_include"][str(module)] = str(place)
                build_data["pure_python"] = False
                build_data["infer_tag"] = True


def hot_loops(root: Path) -> list[Path]:
    """What is compiled, relative to the root: Cython's own files, and those whose types are declared beside them."""
    found = [source for package in PACKAGES for source in (root / package).rglob("*.pyx")]
    typed = [types.with_suffix(".py") for package in PACKAGES for types in (root / package).rglob("*.pxd")]
    found += [source for source in typed if source.exists()]  # others say what one of Cython's files has for others
    return sorted(source.relative_to(root) for source in found)


def compiled(root: Path, sources: Sequence[Path], build: Path) -> list[Path]:
    """Compile the sources; the modules' files. Raises BaseError or CCompilerError where that cannot be done."""
    extensions = [
        Extension(".".join(source.with_suffix("").parts), [str(root / source)], extra_compile_args=COMPILER)
        for source in sources
    ]
    command = build_ext(Distribution({"ext_modules": cythonize(extensions, build_dir=str(build), quiet=True)}))
    command.build_lib, command.build_temp = str(build / "lib"), str(build / "temp")
    command.ensure_finalized()
    command.run()
    return [Path(file) for file in command.get_outputs()]
