"""What a program imports, read from its text: nothing of it runs."""

import ast
from collections.abc import Iterator
from pathlib import Path


def imports(program: Path) -> list[str]:
    """Modules that the program and its siblings import on their top level, siblings left out."""
    return list(dict.fromkeys(_imports(program, set())))


def _imports(program: Path, seen: set[Path]) -> Iterator[str]:
    seen.add(program)
    try:
        tree = ast.parse(program.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            names = [statement.module]
        else:
            continue
        for name in names:
            top = program.parent / name.split(".")[0]
            sibling = top.with_suffix(".py")
            if sibling.is_file():
                yield from _imports(sibling, seen) if sibling not in seen else ()
            elif not top.is_dir():
                yield name
