"""Which code a trial runs: the program, the user's own modules that it imports, and their settings.

Their text is read, nothing of it runs.
"""

import ast
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hypertrain.libraries import is_library
from hypertrain.results.settings import SETTINGS, named, settings
from hypertrain.sweepfile.distributions import Parameter

SCRIPT = re.compile(rb"[\w./-]+\.py\b", re.ASCII)
LARGEST = 2**20
"""Bytes: what is larger is data."""
OF_WANDB = "config-defaults.yaml"
"""W&B reads it by itself."""
SWEEP = (rb"^method *:", rb"^parameters *:")
"""A sweep file is no setting: it may grow without anything being trained twice."""


def sources(root: Path, program: Path, words: Sequence[object] = ()) -> dict[str, str]:
    """SHA-256 of each file, by its path from `root`.

    program: relative to `root`. words: of the command; what they name, as a module or a file of
    settings, counts too.
    """
    return _hashes(root, [str(program), OF_WANDB, *named([str(word) for word in words])])


def of_choices(root: Path, space: Sequence[Parameter]) -> dict[str, dict[str, str]]:
    """The same of files that a choice of a parameter names, by its word of `words_of`."""
    choices = {p.name: p.values for p in space if not isinstance(p.values, range)}
    found = {word: _hashes(root, named([word])) for word in words_of(choices)}
    return {word: files for word, files in found.items() if files}


def words_of(value: Any, name: str = "") -> Iterator[str]:
    """The texts of parameters as words of a command, name=value; those of a list one by one."""
    match value:
        case str():
            yield f"{name}={value}"
        case Mapping():
            for inner, below in value.items():
                yield from words_of(below, f"{name}.{inner}".lstrip("."))
        case list() | tuple():
            for item in value:
                yield from words_of(item, name)


def _hashes(root: Path, names: Iterable[str]) -> dict[str, str]:
    seen: dict[Path, bytes] = {}
    for file in (root / name for name in names if _is_file(root / name)):
        _follow(file.resolve(), root.resolve(), seen)
    return {
        _shown(file, root.resolve()): hashlib.sha256(text).hexdigest()
        for file, text in sorted(seen.items())
    }


def stamps(root: Path, files: Iterable[str]) -> dict[str, tuple[int, int]]:
    """When each was last written, and its size: quick to compare."""
    found: dict[str, tuple[int, int]] = {}
    for name in files:
        with suppress(OSError):
            now = (root / name).stat()
            found[name] = now.st_mtime_ns, now.st_size
    return found


def fingerprint(files: dict[str, str]) -> str:
    """Names the whole of the sources: 12 hexadecimal digits."""
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:12]


def _follow(file: Path, root: Path, seen: dict[Path, bytes]) -> None:
    if file in seen:
        return
    try:
        text = file.read_bytes()
    except OSError:
        return
    if file.suffix in SETTINGS:
        if not all(re.search(key, text, re.MULTILINE) for key in SWEEP):
            seen[file] = text
        return
    seen[file] = text
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):  # a shell script, say
        for name in SCRIPT.findall(text):
            if _is_file(root / name.decode()):
                _follow((root / name.decode()).resolve(), root, seen)
        return
    places = [file.parent, root, root / "src"]
    for name, level in dict.fromkeys(_imported(tree)):
        for found in _files(name, level, file, places):
            _follow(found, root, seen)
    for found in filter(_is_file, settings(text, tree, file.parent, root)):
        _follow(found.resolve(), root, seen)


def _imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Dotted names that may be modules, and how many dots stood before them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, 0
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level
            for alias in node.names:
                yield f"{node.module or ''}.{alias.name}".strip("."), node.level


def _files(name: str, level: int, file: Path, places: Sequence[Path]) -> Iterator[Path]:
    """Files of the user's that importing `name` runs: the packages on the way and the module."""
    if level:
        yield from _below(file.parents[level - 1], name.split(".") if name else [])
        return
    parts = name.split(".")
    for place in places:
        found = list(_below(place, parts))
        if found:
            yield from found
            return
    yield from _elsewhere(parts)


def _below(place: Path, parts: Sequence[str]) -> Iterator[Path]:
    for part in parts:
        package = place / part / "__init__.py"
        module = place / f"{part}.py"
        if _is_file(package):
            yield package.resolve()
        elif _is_file(module):
            yield module.resolve()
            return
        place = place / part


def _elsewhere(parts: Sequence[str]) -> Iterator[Path]:
    """On PYTHONPATH, or installed from a folder."""
    top = parts[0]
    if top in sys.stdlib_module_names or top == "hypertrain":
        return
    try:
        spec = find_spec(top)
    except (ImportError, AttributeError, ValueError):
        return
    if spec is None:
        return
    origin = [Path(spec.origin).resolve()] if spec.has_location and spec.origin else []
    folders = [Path(folder).resolve() for folder in spec.submodule_search_locations or ()]
    if any(is_library(place) for place in origin or folders):
        return
    yield from origin
    for folder in folders:
        yield from _below(folder, parts[1:])


def _is_file(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size < LARGEST
    except (OSError, ValueError):  # a name that is too long, or holds a null
        return False


def _shown(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.as_posix()
