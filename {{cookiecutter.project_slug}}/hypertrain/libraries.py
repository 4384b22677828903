"""What is a library, and what is the user's own code: that is read, compared, never run beforehand."""

import json
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

FOLDERS = tuple(
    place
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
    for place in {Path(sysconfig.get_path(name)), Path(sysconfig.get_path(name)).resolve()}
)
PACKAGES = ("site-packages", "dist-packages")


def is_library(file: Path) -> bool:
    """Of the standard library or a package, of this environment or another that is on the path.

    What `pip install .` has copied is not: it is the user's own, as much as if it were editable.
    """
    installed = any(file.is_relative_to(folder) for folder in FOLDERS)
    installed |= any(name in file.parts for name in PACKAGES)
    return installed and file.resolve() not in _own()


@cache
def _own() -> frozenset[Path]:
    """What was copied into the environment from a folder of this machine: files, and top folders."""
    places = {Path(place).resolve() for place in sys.path if Path(place).name in PACKAGES}
    return frozenset(
        place / name
        for place in places
        for told in place.glob("*.dist-info/direct_url.json")
        if _is_folder_here(told)
        for line in _lines(told.with_name("RECORD"))
        for name in (line.partition(",")[0], line.partition("/")[0])
    )


def _is_folder_here(told: Path) -> bool:
    """Whether this says so, in the words of PEP 610; conda's packages name folders of its makers."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        origin = json.loads(told.read_text())
        folder = unquote(urlsplit(origin["url"]).path)
        return "dir_info" in origin and Path(folder).is_dir()
    return False


def _lines(file: Path) -> Iterator[str]:
    with suppress(OSError, ValueError):
        yield from file.read_text().splitlines()
