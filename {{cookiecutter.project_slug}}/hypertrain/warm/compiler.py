"""PyTorch's compiler, put off until a program asks for it.

Every optimizer imports `torch._dynamo`, 800 modules in 0.7 s, only to tell it what not to compile.
As long as nothing else is wanted of it, the module stands there without having run.
Written for torch 2.13 (`_compile.py`, `optim/optimizer.py`); should an optimizer want more of it one
day, each trial would load it again.
"""

import importlib
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"


def put_off() -> None:
    """Put off the compiler, unless PyTorch is not imported or the compiler is."""
    if "torch" not in sys.modules or COMPILER in sys.modules:
        return
    if spec := find_spec(COMPILER):
        module = module_from_spec(spec)
        module.__class__ = _PutOff
        sys.modules[COMPILER] = module
        sys.meta_path.insert(0, _BeforeSubmodules())


class _PutOff(ModuleType):
    """The module before it has run, with the two functions that optimizers call."""

    _left_alone: list[Callable[..., Any]] = []  # noqa: RUF012  # there is one such module

    def graph_break(self, msg: str = "") -> None:
        """Nothing is being compiled."""

    def disable(self, fn: Any = None, *args: Any, wrapping: bool = True, **options: Any) -> Any:
        if wrapping:  # asked by a program; PyTorch's own functions come unwrapped
            return _load(self).disable(fn, *args, wrapping=wrapping, **options)
        self._left_alone.append(fn)
        return fn

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # who looks through all modules wants no compiler
            raise AttributeError(name)
        return getattr(_load(self), name)


def _load(module: ModuleType) -> Any:
    """Run the module in place; what was to be left alone is asked for again at its next call."""
    module.__class__ = ModuleType
    sys.meta_path[:] = [it for it in sys.meta_path if not isinstance(it, _BeforeSubmodules)]
    for function in _PutOff._left_alone:
        vars(function).pop("__dynamo_disable", None)
    importlib.reload(module)
    setattr(sys.modules["torch"], COMPILER.rpartition(".")[2], module)
    return module


class _BeforeSubmodules(MetaPathFinder):
    """Lets the module run before one of its submodules is imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not name.startswith(f"{COMPILER}."):
            return None
        _load(sys.modules[COMPILER])
        if module := sys.modules.get(name):
            # importlib takes the spec of a module that came meanwhile, whatever is returned here.
            module.__spec__ = ModuleSpec(name, _Imported(module))
        return module.__spec__ if module else None


class _Imported(Loader):
    """Gives the module that its package has imported meanwhile, instead of a second one."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
