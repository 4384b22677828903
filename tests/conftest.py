"""What every test shares: the template as a clone has it, and bakes of it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pytest_cookies.plugin import Cookies
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# What a shell starts in the background ignores Ctrl-C and the like, and so would all under test.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
ROOT = Path(__file__).resolve().parents[1]
# Python keeps what it compiles, and aside: in the template folder it would be baked along.
sys.dont_write_bytecode = False
sys.pycache_prefix = str(ROOT / ".cache" / "pycache")
os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
Bake = Callable[..., Path]
LONGEST = (
    "test_readme",
    "test_flow",
    "test_cut_off",
    "test_wandb_sweep",
    "test_guide",
    "test_sweep",
    "test_faults",
    "test_agent",
    "test_by_hand",
)
"""Files first, as each runs in one process; then the shapes, which are many and so share well."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes comes first, so that all processes end at about the same time."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


class _Together(LoadScopeScheduling):  # type: ignore[misc]
    """The tests of one file run in one process, of `test_by_hand.py` those of one shape."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        return f"{file} {test.partition('[')[2]}" if file.endswith("test_by_hand.py") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _Together(config, log)


def hook(name: str) -> ModuleType:
    """`hooks/<name>.py` as a module; what cookiecutter renders stands below its main guard."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "hooks" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path from there."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(autouse=True)
def environment_stays() -> Iterator[None]:
    """What is tried by hand starts with it: a test that changes it must not change the next."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy without what git ignores: caches and results lying about would be baked along."""
    copy = tmp_path_factory.mktemp("template")
    parts = ["cookiecutter.json", "hooks", "{{cookiecutter.project_slug}}"]
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *parts],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = ROOT / name
        if source.is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy / name)
    return copy


@pytest.fixture(scope="session")
def bake(cookies_session: Cookies, template: Path) -> Bake:
    """`bake(project_name="...")` gives a fresh project folder; answers left out are defaults."""

    def baked(**answers: str) -> Path:
        result = cookies_session.bake(extra_context=answers, template=str(template))
        assert result.exit_code == 0, repr(result.exception)
        return Path(result.project_path)

    return baked


@pytest.fixture(scope="session")
def project(bake: Bake) -> Path:
    """The guide's project, to look at; a test that writes bakes its own."""
    return bake(project_name="Hyperparameter tuning test")
