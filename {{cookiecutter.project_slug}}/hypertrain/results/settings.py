"""Files of settings that a program reads, found in its text: what it writes is none."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SUFFIXES = (".yaml", ".yml", ".toml", ".ini", ".cfg", ".gin", ".py")
READS = re.compile(r"open|(?<!up|wn)load|(?<!th)read|config|from_?(file|yaml|toml)", re.IGNORECASE)
WRITES = re.compile(r"save|write|dump|export", re.IGNORECASE)
WRITING = re.compile(r"[rbt+]*[wax][rbt+]*")
"""A mode of `open`."""
HYDRA = ("*.y*ml", "[!.]*/*.y*ml", "[!.]*/[!.]*/*.y*ml")
"""In its folder; what runs have left lies deeper."""


def settings(tree: ast.AST, folder: Path, root: Path) -> Iterator[Path]:
    """Where they would lie: named by a call that reads, as a default, or in Hydra's folder.

    folder: of the module. root: of the project, where trials start.
    """
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="config_path" | "config_dir", value=ast.Constant(value=str(name))):
                yield from (file for groups in HYDRA for file in (folder / name).glob(groups))
            case ast.keyword() | ast.Call() if _may_read(node):
                names = (it.value for it in ast.walk(node) if isinstance(it, ast.Constant))
                named = (name for name in names if isinstance(name, str))
                files = (place / name for name in named for place in (folder, root))
                yield from (file for file in files if file.suffix in SUFFIXES)


def _may_read(node: ast.keyword | ast.Call) -> bool:
    if isinstance(node, ast.keyword):
        return (node.arg or "").startswith(("default", "config"))
    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if WRITES.search(called) or not READS.search(called):
        return False
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    modes = (it.value for it in arguments if isinstance(it, ast.Constant))
    return not any(isinstance(mode, str) and WRITING.fullmatch(mode) for mode in modes)
