"""Files of settings that a trial reads, found in the program's text and in its command.

Their names are looked for. What the program writes is no setting, even if it reads it as well.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path, PurePath

JSON = ".json"
"""Often written by what is only told its name: counts where it is seen to be read."""
SETTINGS = (".yaml", ".yml", ".toml", ".ini", ".cfg", ".gin", ".jsonnet", JSON)
SCRIPTS = ("", ".py", ".sh", ".bash", ".ipynb")
"""Of a command."""
MENTIONED = re.compile(rb"\.(ya?ml|toml|ini|cfg|gin|json(net)?|py)\b|config_(path|dir)")
READS = re.compile(r"open|(?<!up|wn)load|(?<!th)read|config|from_?(file|json)", re.IGNORECASE)
WRITES = re.compile(r"save|write|export|dump_|^to_", re.IGNORECASE)
WRITING = re.compile(r"[rbt+]*[wax][rbt+]*")
"""A mode of `open`."""
OUTPUT = re.compile(
    r"(?<![a-z])(out(put)?s?|logs?|save[sd]?|export|dump|dest|results?)(file|dir|path|to)?(?![a-z])",
    re.IGNORECASE,
)
"""In the name of an option or a file."""
JOINS = ("Path", "PurePath", "str", "join", "joinpath", "abspath")
"""Calls that make a path of paths."""
HYDRA = ("*.y*ml", "[!.]*/*.y*ml", "[!.]*/[!.]*/*.y*ml")
"""In its folder; what runs have left lies deeper."""


def named(words: Sequence[str]) -> Iterator[str]:
    """Paths that the words of a command may name: of modules, scripts and settings."""
    for before, word in pairwise(("", *words)):
        option, equals, value = word.partition("=")
        for path in (word, value):
            told = f"{option if equals else before} {path}"
            if PurePath(path).suffix in (*SETTINGS, *SCRIPTS) and not OUTPUT.search(told):
                yield path
        if all(part.isidentifier() for part in word.split(".")):  # after -m
            path = word.replace(".", "/")
            yield from (f"{path}.py", f"{path}/__main__.py")


def settings(text: bytes, tree: ast.Module, folder: Path, root: Path) -> Iterator[Path]:
    """Where the files would lie that a module names, and those of Hydra's folder.

    text, folder: of the module. root: of the project, where trials start.
    """
    if not MENTIONED.search(text):
        return
    values = _values(tree)
    mentioned, read, written = set(_paths(tree, values)), set[str](), set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="config_path" | "config_dir", value=ast.Constant(value=str(name))):
                yield from (file for groups in HYDRA for file in (folder / name).glob(groups))
            case ast.Call() if _writes(node):
                written.update(_paths(node, values))
            case ast.Call() if READS.search(_name(node.func)):
                read.update(_paths(node, values))
    for path in mentioned - written:
        suffix = PurePath(path).suffix
        if suffix in (*SETTINGS, ".py") and (suffix != JSON or path in read):
            yield from (folder / path, root / path)


def _values(tree: ast.Module) -> Mapping[str, ast.expr]:
    """What a variable, parameter or option is given, or has by default; none that has several."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[target], value=value):
                found.setdefault(_name(target), []).append(value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                found.setdefault(_name(target), []).append(value)
            case ast.arguments():
                last = reversed([*node.posonlyargs, *node.args])
                by_place = zip(last, reversed(node.defaults), strict=False)
                by_name = zip(node.kwonlyargs, node.kw_defaults, strict=True)
                for place, default in chain(by_place, by_name):
                    if default:
                        found.setdefault(place.arg, []).append(default)
            case ast.Call(args=[ast.Constant(value=str(option)), *_]) if option.startswith("-"):
                for keyword in node.keywords:
                    if keyword.arg == "default":
                        name = option.strip("-").replace("-", "_")
                        found.setdefault(name, []).append(keyword.value)
    return {name: values[0] for name, values in found.items() if name and len(values) == 1}


def _paths(tree: ast.AST, values: Mapping[str, ast.expr]) -> Iterator[str]:
    """All texts, and the paths that are put together of them."""
    return (path for node in ast.walk(tree) if (path := _path(node, values)))


def _path(node: ast.AST, values: Mapping[str, ast.expr], above: tuple[str, ...] = ()) -> str:
    """As far as it is known from the text: `Path(__file__).parent / "a" / "b"` is a/b."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            parts = [left, right]
        case ast.Call(args=parts) if _name(node.func) in JOINS:
            pass
        case ast.Attribute(value=ast.Name("os"), attr="path"):
            return ""
        case _ if (name := _name(node)) in values and name not in above:
            return _path(values[name], values, (*above, name))
        case _:
            return ""
    return str(PurePath(*(_path(part, values, above) for part in parts)))


def _writes(call: ast.Call) -> bool:
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    modes = (it.value for it in arguments if isinstance(it, ast.Constant))
    writes = WRITES.search(_name(call.func)) and ast.unparse(call.func) != "wandb.save"
    return bool(writes) or any(isinstance(it, str) and WRITING.fullmatch(it) for it in modes)


def _name(node: ast.AST) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))
