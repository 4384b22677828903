"""Modules of the user's that stand in the way of libraries: a file `networkx.py`, say."""

import ast
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hypertrain.trial.run import INJECT
from hypertrain.warm.environ import mentions

LEFT_OUT = ("hypertrain", "results", "wandb", "data", "site-packages", "node_modules")
DEEPEST = 4
"""Folders below the project in which such a module is looked for."""


def shadowed(first: Path, trees: Iterable[ast.Module]) -> str | None:
    """A module imported by now whose name a module of the user's has too, as a path; else None.

    first: the folder that comes first on the program's path. trees: the program's own modules; only
    those that touch `sys.path` can reach further into the project.
    """
    added = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    folders = [first, *(Path(folder) for folder in added if folder not in ("", str(INJECT)))]
    for tree in filter(extends_path, trees):
        folders += below(Path.cwd(), DEEPEST)
        folders += [Path(text) for text in _texts(tree) if Path(text).is_absolute()]
    loaded = {name.partition(".")[0] for name in sys.modules} - {"__main__", "hypertrain"}
    own = (entry for folder in folders for entry in _modules(folder))
    in_the_way = (file for name, file in own if name in loaded and not _is_loaded(name, file))
    return next(map(str, in_the_way), None)


def _is_loaded(name: str, file: Path) -> bool:
    """Whether it is the library itself: PYTHONPATH may lead to an environment's packages."""
    loaded: str | None = getattr(sys.modules[name], "__file__", None)
    itself = file.resolve()
    return loaded is not None and Path(loaded).resolve() in (itself, itself / "__init__.py")


def extends_path(tree: ast.Module) -> bool:
    """Whether it names `sys.path`, by whatever name."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.asname for node in imports for alias in node.names if alias.name == "sys"}
    from_sys = any(isinstance(node, ast.ImportFrom) and node.module == "sys" for node in imports)
    return (
        from_sys
        or mentions(tree, ("addsitedir",))
        or any(
            isinstance(node, ast.Attribute)
            and node.attr == "path"
            and isinstance(node.value, ast.Name)
            and node.value.id in {"sys", *names}
            for node in ast.walk(tree)
        )
    )


def _texts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def below(folder: Path, depth: int) -> Sequence[Path]:
    """The folder and those in it that may hold the user's modules."""
    found = [folder]
    if depth:
        for entry in _entries(folder):
            hidden = entry.name.startswith((".", "__")) or entry.name in LEFT_OUT
            if entry.is_dir() and not hidden and not (entry / "pyvenv.cfg").exists():
                found += below(entry, depth - 1)
    return found


def _modules(folder: Path) -> Iterable[tuple[str, Path]]:
    for entry in _entries(folder):
        if entry.suffix == ".py" or (entry / "__init__.py").is_file():
            yield entry.stem, entry


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
