"""Files that a command leaves behind, whole or not at all."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class Outputs:
    """New files of a directory, as a context manager: they get their names when the block ends without an error.

    Raises FileExistsError if one of the names is taken, unless `force`, and IsADirectoryError if it is a directory's.
    """

    def __init__(self, directory: Path, names: Sequence[str], *, force: bool) -> None:
        self._paths = {name: directory / name for name in names}
        taken = [str(path) for path in self._paths.values() if path.exists()]
        if taken and not force:
            raise FileExistsError(f"{', '.join(taken)}: there already; choose another directory or force it")
        self._refuse_directories()
        self._files: dict[str, IO[bytes]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for name, path in self._paths.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = _partial(path)
                file = partial.open("wb")
                stack.callback(partial.unlink, missing_ok=True)  # one that has got its name is not there any more
                self._files[name] = stack.enter_context(file)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._stack:
            if error is None:
                for file in self._files.values():
                    file.close()
                self._refuse_directories()  # again: one may have been made meanwhile
                for path in self._paths.values():
                    _partial(path).replace(path)

    def __getitem__(self, name: str) -> IO[bytes]:
        return self._files[name]

    def _refuse_directories(self) -> None:
        """Before the first file gets its name: nothing can take the place of a directory."""
        for path in self._paths.values():
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "Is a directory", str(path))


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")
