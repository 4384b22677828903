"""What a program imports before it does anything else, read from its text: nothing of it runs.

The user's own modules are read as the program is; only what is installed may be imported for real
beforehand. The order counts, and what the program puts into its environment in between.
"""

import ast
import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from hypertrain.libraries import is_library
from hypertrain.warm.environ import ENVIRON, Set, constants, has_effect, mentions, writes
from hypertrain.warm.shadows import DEEPEST, below, extends_path


@dataclass(frozen=True)
class Import:
    """An installed module, of the standard library or of a package."""

    name: str


Step = Import | Set


@dataclass
class Program:
    """What is known of a program from its text.

    steps: its imports and constants, up to where they can be known.
    sources: the program and each module of the user's that it imports, by import name.
    """

    steps: list[Step] = field(default_factory=list)
    sources: dict[str, Path] = field(default_factory=dict)


def read_program(program: str, is_module: bool = False) -> Program:
    """Read the script of this path, or the module of this name, and what it imports."""
    found = Program()
    if is_module:
        reader = _Reader(found, [str(Path.cwd())])
        main = _own_file(f"{program}.__main__", reader.path) or _own_file(program, reader.path)
        is_package = main is not None and main.name == "__main__.py"
        package = program if is_package else program.rpartition(".")[0]
        parents = reader.parents(program, with_itself=is_package)
    else:
        main, package, parents = Path(program), "", []
        reader = _Reader(found, [str(main.resolve().parent)])
    for name, file in parents:
        reader.read(name, file, name)
    if main and main.is_file():
        reader.read("__main__", main, package)
    return found


class _Missing(Exception):
    """A module is imported that is nowhere: it fails, or lies where the program looks for more."""


class _Reader:
    def __init__(self, found: Program, path: list[str]) -> None:
        self._found = found
        self.path = path
        self._mentions_environ = self._extends_path = False
        self._is_known, self._tries = True, 0

    def read(self, name: str, file: Path, package: str) -> None:
        """Follow the statements of a module in the order in which they run."""
        self._found.sources[name] = file
        tree = parsed(file)
        if tree:
            self._mentions_environ |= mentions(tree, ENVIRON)
            self._extends_path |= extends_path(tree)
            self._follow(tree.body, package)

    def _follow(self, statements: Sequence[ast.stmt], package: str) -> None:
        for statement in statements:
            match statement:
                case ast.Import():
                    for alias in statement.names:
                        self._import(alias.name)
                case ast.ImportFrom():
                    if any(alias.asname and alias.name in ENVIRON for alias in statement.names):
                        self._is_known = False  # it goes by another name from here on
                    name = _absolute(statement, package)
                    self._import(name)
                    for alias in statement.names:
                        self._import_own(f"{name}.{alias.name}")
                case ast.Try():
                    self._try(statement, package)
                case ast.With():
                    for item in statement.items:
                        self._run(ast.Expr(item.context_expr))
                    self._follow(statement.body, package)
                case ast.ClassDef():
                    self._follow(statement.body, package)
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    pass
                case ast.If() if _is_for_types(statement.test):
                    pass
                case ast.If() if _is_main_guard(statement.test):
                    self._is_known &= not mentions(statement, ENVIRON)
                case _:
                    self._run(statement)

    def _try(self, statement: ast.Try, package: str) -> None:
        self._tries += 1
        try:
            self._follow(statement.body, package)
            rest = [*statement.orelse, *statement.finalbody]
        except _Missing:
            rest = statement.finalbody
        finally:
            self._tries -= 1
        self._follow(rest, package)

    def _run(self, statement: ast.stmt) -> None:
        """From where it cannot be told what the next import would find, no more is known."""
        if found := list(constants(statement)):
            self._add(*found)
        elif (
            writes(statement)
            or (self._mentions_environ and _calls_own(statement))
            or has_effect(statement)
            or any(map(self._is_own, _imports_within(statement)))
        ):
            self._is_known = False

    def _add(self, *steps: Step) -> None:
        if self._is_known:
            self._found.steps += steps

    def _is_own(self, name: str) -> bool:
        return _own_file(name.partition(".")[0], self.path) is not None

    def _import(self, name: str) -> None:
        if self._import_own(name):
            return
        top = name.partition(".")[0]
        if _is_installed(top):
            self._add(Import(name))
        elif self._extends_path and (found := _somewhere(top)):
            self.path.append(found)
            self._import_own(name)
        elif self._tries:
            raise _Missing
        else:
            self._is_known = False

    def _import_own(self, name: str) -> bool:
        """Read a module of the user's and its packages; whether it is one."""
        for whole, file in self.parents(name, with_itself=True):
            if whole not in self._found.sources:
                package = whole if file.name == "__init__.py" else whole.rpartition(".")[0]
                self.read(whole, file, package)
        return self._is_own(name)

    def parents(self, name: str, with_itself: bool = False) -> list[tuple[str, Path]]:
        parts = name.split(".")
        ends = range(1, len(parts) + with_itself)
        named = [".".join(parts[:end]) for end in ends]
        found = [(whole, _own_file(whole, self.path)) for whole in named]
        return [(whole, file) for whole, file in found if file and file.suffix == ".py"]


def parsed(file: Path) -> ast.Module | None:
    """The syntax tree; None where the interpreter could not run it either."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _absolute(statement: ast.ImportFrom, package: str) -> str:
    above = package.split(".")[: len(package.split(".")) - max(0, statement.level - 1)]
    parts = [*(above if statement.level else ()), *filter(None, [statement.module])]
    return ".".join(filter(None, parts))


def _own_file(name: str, first: Sequence[str]) -> Path | None:
    """The file of a module of the user's; a folder where it is a package without a file."""
    top, *rest = name.split(".")
    spec = PathFinder.find_spec(top, list(first))
    if spec is None or spec.origin is None:  # a mere folder, such as `wandb/`, gives way
        spec = _find_elsewhere(top) or spec
    if spec is None or _is_library(spec):
        return None
    for part in rest:
        places = spec.submodule_search_locations
        spec = PathFinder.find_spec(part, list(places)) if places else None
        if spec is None:
            return None
    if spec.origin and spec.origin not in ("built-in", "frozen"):
        return Path(spec.origin)
    return Path(next(iter(spec.submodule_search_locations or ()), ".")) if not spec.origin else None


def _somewhere(top: str) -> str | None:
    """The folder of the project that the program adds to `sys.path` to import it."""
    places = [
        folder
        for folder in below(Path.cwd(), DEEPEST)
        if (folder / f"{top}.py").is_file() or (folder / top / "__init__.py").is_file()
    ]
    return str(places[0]) if len(places) == 1 else None


def _imports_within(statement: ast.stmt) -> Iterator[str]:
    """Modules that are imported on a condition, say."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _find_elsewhere(top: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None


def _is_installed(top: str) -> bool:
    spec = _find_elsewhere(top)
    return spec is not None and _is_library(spec)


def _is_library(spec: ModuleSpec) -> bool:
    if spec.origin in ("built-in", "frozen"):
        return True
    places = [spec.origin] if spec.origin else spec.submodule_search_locations or ()
    return any(is_library(Path(place)) for place in places)


def _is_main_guard(test: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(test))


def _is_for_types(test: ast.expr) -> bool:
    return mentions(test, ("TYPE_CHECKING",))


def _calls_own(statement: ast.stmt) -> bool:
    """Whether it calls a bare name: a function of the user's may stand behind it."""
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        for node in ast.walk(statement)
    )
