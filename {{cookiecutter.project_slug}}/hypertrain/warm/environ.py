"""What a program's statements do to its environment: before an import, that counts for the import."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HARMLESS = (
    *("print", "seed", "manual_seed", "seed_everything", "set_seed", "filterwarnings"),
    *("simplefilter", "getLogger", "setLevel", "use", "makedirs", "mkdir", "append", "insert"),
    *("extend", "add_argument", "set_defaults", "set_float32_matmul_precision", "suppress"),
    *("catch_warnings", "update", "setdefault", "add", "disable", "use_deterministic_algorithms"),
)
"""Calls that change nothing that an import would be different for."""
BY_NAME = ("import_module", "__import__", "exec", "eval")
ENVIRON = ("environ", "environb", "putenv", "unsetenv", "dotenv", "load_dotenv")


@dataclass(frozen=True)
class Set:
    """A variable that the program sets to a constant. keep: unless it is set (`setdefault`)."""

    name: str
    value: str
    keep: bool = False


def constants(statement: ast.stmt) -> Iterator[Set]:
    """`os.environ[...] = "..."` and its like, if the statement is nothing else."""
    match statement:
        case ast.Assign(
            targets=[ast.Subscript(value=target, slice=ast.Constant(value=str(name)))],
            value=ast.Constant(value=str(value)),
        ) if _is_environ(target):
            yield Set(name, value)
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=target, attr="setdefault"),
                args=[ast.Constant(value=str(name)), ast.Constant(value=str(value))],
            )
        ) if _is_environ(target):
            yield Set(name, value, keep=True)
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=target, attr="update"),
                args=[ast.Dict(keys=keys, values=values)],
                keywords=[],
            )
        ) if _is_environ(target):
            pairs = [(_text(key), _text(text)) for key, text in zip(keys, values, strict=True)]
            if None not in {part for pair in pairs for part in pair}:
                yield from (Set(key or "", text or "") for key, text in pairs)


def _is_environ(node: ast.expr) -> bool:
    return (isinstance(node, ast.Attribute) and node.attr == "environ") or (
        isinstance(node, ast.Name) and node.id == "environ"
    )


def _text(node: ast.expr | None) -> str | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else None


def writes(statement: ast.stmt) -> bool:
    """Whether it may write: whatever names the environment and does more than to read a value."""
    reads = {
        id(node.value)
        for node in ast.walk(statement)
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load)
    }
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and node.attr in ("get", "items", "keys", "copy"):
            reads.add(id(node.value))
        if isinstance(node, ast.Compare):
            reads |= {id(side) for side in node.comparators}
    names = (node for node in ast.walk(statement) if mentions(node, ENVIRON, deep=False))
    return any(id(node) not in reads for node in names)


def has_effect(statement: ast.stmt) -> bool:
    """Whether it may change what a later import does: it calls for the sake of that, imports by a
    name, or sets something of another module's."""
    if any(_called(node) in BY_NAME for node in ast.walk(statement)):
        return True
    match statement:
        case ast.Expr(value=ast.Call(func=function) as call):
            owner = ast.unparse(function).rpartition(".")[0]
            return _called(call) not in HARMLESS or owner.endswith("config")
        case ast.Assign(targets=targets):
            return any(_is_foreign(target) for target in targets)
    return False


def _called(node: ast.AST) -> str:
    function = getattr(node, "func", None)
    return getattr(function, "attr", getattr(function, "id", ""))


def _is_foreign(target: ast.expr) -> bool:
    text = ast.unparse(target)
    mild = ("sys.path", "torch.backends.", "rcParams", "pd.options.", "pandas.options.", "__all__")
    foreign = isinstance(target, ast.Attribute | ast.Subscript)
    return foreign and not any(word in text for word in mild)


def mentions(tree: ast.AST, names: Sequence[str], deep: bool = True) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.Name) and node.id in names)
        or (isinstance(node, ast.alias) and node.name.partition(".")[0] in names)
        for node in (ast.walk(tree) if deep else [tree])
    )
