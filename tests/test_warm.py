"""What may be imported before a trial begins, and what a trial notices of it: nothing."""

from __future__ import annotations

import ast
import gc
import importlib
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import Bake
from hypertrain import libraries
from hypertrain.results.sources import sources
from hypertrain.warm.environ import Set
from hypertrain.warm.imports import Import, read_program
from hypertrain.warm.shadows import shadowed
from test_sweep import records, results, run, write_sweep


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


# ---- what a program imports, in which order, with which variables

READ: dict[str, tuple[str, list[str]]] = {
    "imports in order": ("import json, csv\nfrom torch import nn", ["json", "csv", "torch"]),
    "not in functions": ("def f():\n    import json\nclass C:\n    import csv", ["csv"]),
    "not behind a guard": ("if __name__ == '__main__':\n    import json", []),
    "not where it depends": ("import sys\nif sys.argv:\n    import json", ["sys"]),
    "what is tried": ("try:\n    import json\nexcept ImportError:\n    import csv", ["json"]),
    "not for types": ("if TYPE_CHECKING:\n    import json\nimport csv", ["csv"]),
    "nothing after what is missing": ("import no_such_package\nimport json", []),
    "what is missing may be tried": (
        "try:\n    import no_such_package\n    import wave\nexcept ImportError:\n    pass\n"
        "import json",
        ["json"],
    ),
    "constants count": (
        "import os\nos.environ['A'] = '1'\nimport json",
        ["os", "A=1", "json"],
    ),
    "defaults and updates": (
        "from os import environ\nenviron.setdefault('A', '1')\nenviron.update({'B': '2'})\n"
        "import json",
        ["os", "A?=1", "B=2", "json"],
    ),
    "what cannot be known": (
        "import os, sys\nos.environ['A'] = sys.argv[1]\nimport json",
        ["os", "sys"],
    ),
    "what depends": (
        "import os\nif os.cpu_count() == 1:\n    os.environ['A'] = '1'\nimport json",
        ["os"],
    ),
    "what is read": (
        "import os\na = os.environ.get('A') or os.environ['B']\nimport json",
        ["os", "json"],
    ),
    "asked for": ("import os\nif 'A' in os.environ:\n    b = 1\nimport json", ["os", "json"]),
    "another's variables": ("from dotenv import load_dotenv\nload_dotenv()\nimport json", []),
    "own function that sets": (
        "import os\ndef prepare():\n    os.environ['A'] = 'x'\nprepare()\nimport json",
        ["os"],
    ),
    "own function": ("import csv\ndef prepare():\n    pass\nprepare()\nimport json", ["csv"]),
    "a method": ("import csv\nimport envs\nenvs.prepare()\nimport json", ["csv"]),
    "a call for its effect": (
        "import logging\nlogging.basicConfig(level=10)\nimport json",
        ["logging"],
    ),
    "a default of a library": (
        "import torch\ntorch.set_default_dtype(torch.float64)\nimport json",
        ["torch"],
    ),
    "something of another module": ("import csv\ncsv.reader = None\nimport json", ["csv"]),
    "harmless calls": (
        "import warnings, random\nwarnings.filterwarnings('ignore')\nrandom.seed(1)\n"
        "print('x')\nimport torch\ntorch.backends.cudnn.benchmark = True\nimport json",
        ["warnings", "random", "torch", "json"],
    ),
    "environ by another name": ("from os import environ as env\nimport json", []),
    "set in a guard": (
        "import os\nif __name__ == '__main__':\n    os.environ['A'] = b()\nimport json",
        ["os"],
    ),
    "set in a class": ("import os\nclass C:\n    os.environ['A'] = b()\nimport json", ["os"]),
    "set by a context": (
        "import os\nfrom unittest import mock\nwith mock.patch.dict(os.environ, A='1'):\n"
        "    import json",
        ["os", "unittest"],
    ),
    "own on a condition": ("import csv\nif csv:\n    import envs\nimport json", ["csv"]),
    "by its name": (
        "import importlib\nm = importlib.import_module('envs')\nimport json",
        ["importlib"],
    ),
    "parsed before": (
        "import argparse\na = argparse.ArgumentParser().parse_args()\nimport json",
        ["argparse", "json"],
    ),
    "no syntax": ("import json\nthis is no Python", []),
    "an old escape": ("import json\nx = '\\d'", ["json"]),
}


def told(steps: list[Import | Set]) -> list[str]:
    return [
        step.name if isinstance(step, Import) else f"{step.name}{'?' * step.keep}={step.value}"
        for step in steps
    ]


@pytest.mark.parametrize(("text", "steps"), READ.values(), ids=READ)
def test_what_a_program_imports(
    folder: Path, text: str, steps: list[str], recwarn: pytest.WarningsRecorder
) -> None:
    write(folder, {"train.py": text, "envs.py": "def prepare():\n    pass\n"})
    gc.collect()  # what other tests have left may warn when it goes
    recwarn.clear()
    assert told(read_program("train.py").steps) == steps
    assert not recwarn.list


MODULES = {
    "pkg/__init__.py": "import csv",
    "pkg/train.py": "import json\nfrom .model import fit\nfrom . import options\nimport html",
    "pkg/model.py": "import wave\nfrom pkg.deep.er import x",
    "pkg/options.py": "import colorsys",
    "pkg/deep/er.py": "import base64",
    "pkg/__main__.py": "import shelve\nfrom . import model",
    "train.py": "import queue\nimport pkg.model\nimport helper",
    "helper.py": "import train\nimport sched",
}
PROGRAMS = {
    ("train.py", False): ["queue", "csv", "wave", "base64", "queue", "sched"],
    ("pkg/train.py", False): ["json"],  # fails by hand, too
    ("pkg.train", True): ["csv", "json", "wave", "base64", "colorsys", "html"],
    ("pkg", True): ["csv", "shelve", "wave", "base64"],
}


@pytest.mark.parametrize(("program", "steps"), PROGRAMS.items(), ids=str)
def test_own_modules_are_read_and_not_imported(
    folder: Path, program: tuple[str, bool], steps: list[str]
) -> None:
    write(folder, MODULES)
    found = read_program(*program)
    names = told(found.steps)
    assert names[: len(steps)] == steps if program[0] == "pkg/train.py" else names == steps
    assert "__main__" in found.sources
    assert "pkg" not in sys.modules


def test_modules_on_the_path_and_editable_ones_are_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, {"train.py": "import elsewhere\nimport csv", "lib/elsewhere.py": "import wave"})
    assert told(read_program("train.py").steps) == []
    extended = "import sys\nsys.path.append('lib')\nimport elsewhere\nimport csv"
    write(folder, {"train.py": extended})
    assert told(read_program("train.py").steps) == ["sys", "wave", "csv"]
    write(folder, {"train.py": "import elsewhere\nimport csv"})
    monkeypatch.syspath_prepend(str(folder / "lib"))
    assert told(read_program("train.py").steps) == ["wave", "csv"]


def test_a_folder_named_like_a_library_gives_way_to_it(folder: Path) -> None:
    """W&B leaves such a folder, where a program was run by hand."""
    write(folder, {"train.py": "import wandb\nimport csv", "wandb/run-1/x.log": ""})
    assert told(read_program("train.py").steps) == ["wandb", "csv"]


def test_packages_of_another_environment_are_not_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `.pth` file leads to them, or PYTHONPATH, as on clusters that offer packages as modules."""
    packages = folder / "there" / "lib" / "site-packages"
    write(packages, {"theirs/__init__.py": "", "own.py": ""})
    write(folder, {"train.py": "import theirs\nimport own\nimport csv", "own.py": "import wave"})
    monkeypatch.syspath_prepend(str(packages))
    assert told(read_program("train.py").steps) == ["theirs", "wave", "csv"]
    monkeypatch.setenv("PYTHONPATH", str(packages))
    monkeypatch.setitem(sys.modules, "theirs", importlib.import_module("theirs"))
    assert shadowed(folder / "scripts", []) is None
    monkeypatch.setitem(sys.modules, "own", sys)  # another one of this name
    assert shadowed(folder / "scripts", []) == str(packages / "own.py")


@pytest.mark.parametrize(
    ("url", "info", "own"),
    [
        ("file://{folder}/my%20code", "dir_info", True),
        ("file://{folder}/my%20code", "archive_info", False),  # a wheel that was fetched
        ("file:///home/conda/feedstock_root/work", "dir_info", False),
        ("https://example.com/own.git", "vcs_info", False),
    ],
)
def test_what_was_installed_from_a_folder_is_own(
    url: str, info: str, own: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "my code").mkdir()
    packages = folder / "there" / "site-packages"
    origin = {"url": url.format(folder=folder), info: {}}
    files = {"own/__init__.py": "import wave", "own/part.py": "import csv", "shared/other.py": ""}
    record = "".join(f"{name},,\n" for name in ("own/__init__.py", "own/part.py", "shared/my.py"))
    told_by_pip = {"direct_url.json": json.dumps(origin), "RECORD": record}
    write(packages, files | {f"own-1.dist-info/{name}": text for name, text in told_by_pip.items()})
    write(packages, {"shared/my.py": "import cmd"})
    write(folder, {"train.py": "from own import part\nimport shared.my, shared.other"})
    monkeypatch.syspath_prepend(str(packages))
    libraries._own.cache_clear()
    read = ["wave", "csv", "cmd"] if own else ["own", "shared.my", "shared.other"]
    assert told(read_program("train.py").steps) == read
    names = [Path(name).name for name in sources(folder, Path("train.py"))]
    assert sorted(names) == sorted(
        ["train.py", *(["__init__.py", "my.py", "other.py", "part.py"] if own else [])]
    )


# ---- own modules that have the name of a library

SHADOWS: dict[str, tuple[dict[str, str], str | None]] = {
    "beside the program": ({"scripts/json.py": ""}, "scripts/json.py"),
    "as a package": ({"scripts/json/__init__.py": ""}, "scripts/json"),
    "as a folder of data": ({"scripts/json/a.txt": ""}, None),
    "out of reach": ({"src/json.py": ""}, None),
    "within reach": (
        {"src/json.py": "", "scripts/train.py": "import sys\nsys.path.append('src')"},
        "src/json.py",
    ),
    "in a folder for others' code": (
        {"_vendor/json.py": "", "scripts/train.py": "import sys\nsys.path.insert(0, '_vendor')"},
        "_vendor/json.py",
    ),
    "by another name": (
        {"src/json.py": "", "scripts/train.py": "from sys import path as p\np.append('src')"},
        "src/json.py",
    ),
    "by sys' other name": (
        {"src/json.py": "", "scripts/train.py": "import sys as s\ns.path.append('src')"},
        "src/json.py",
    ),
    "by a path of its own": (
        {"src/json.py": "", "scripts/train.py": "import os\nargs.path = os.path.join('src')"},
        None,
    ),
    "not of an environment": (
        {
            ".venv/json.py": "",
            "env/pyvenv.cfg": "",
            "env/json.py": "",
            "scripts/train.py": "import site\nsite.addsitedir('x')",
        },
        None,
    ),
    "of another name": ({"scripts/jason.py": ""}, None),
}


@pytest.mark.parametrize(("files", "file"), SHADOWS.values(), ids=SHADOWS)
def test_own_modules_in_the_way(folder: Path, files: dict[str, str], file: str | None) -> None:
    write(folder, {"scripts/train.py": "", **files})
    tree = ast.parse((folder / "scripts/train.py").read_text())
    found = shadowed(folder / "scripts", [tree])
    assert (found and Path(found).relative_to(folder).as_posix()) == file


def test_a_module_in_the_way_outside_the_project(folder: Path, tmp_path: Path) -> None:
    fork = tmp_path / "fork"
    write(fork, {"json.py": ""})
    tree = ast.parse(f"import sys\nsys.path.insert(0, {str(fork)!r})")
    assert shadowed(folder / "scripts", [tree]) == str(fork / "json.py")


# ---- what a forked trial sees, compared with the command by hand


@pytest.fixture
def root(bake: Bake) -> Path:
    return bake(project_name="Warm test")


LOOKING = """
import inspect, json, multiprocessing, os, signal, sys, threading, traceback
import torch, numpy, wandb

def frames():
    return [frame.function for frame in inspect.stack()]

seen = {
    "file": __file__,
    "names": sorted(globals()),
    "argv": [word.partition("=")[0] for word in sys.argv],
    "orig_argv": [os.path.basename(sys.orig_argv[0]), sys.orig_argv[1]],
    "path": sys.path,
    "executable": sys.executable,
    "frames": frames(),
    "process": multiprocessing.current_process().name,
    "parent": str(multiprocessing.parent_process()),
    "method": multiprocessing.get_start_method(),
    "signals": {s.name: str(signal.getsignal(s)).partition(" at ")[0] for s in signal.Signals},
    "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "wakeup": signal.set_wakeup_fd(-1),
    "threads": [thread.name for thread in threading.enumerate()],
    "leader": os.getpgrp() == os.getpid() == os.getsid(0),
    "files": sorted(os.listdir("/proc/self/fd")),
    "cwd": os.getcwd(),
    "source": inspect.getsource(frames),
    "stdin": [sys.stdin.fileno(), sys.stdin.read(), sys.stdin.isatty(), sys.stdin.encoding],
    "stdout": [sys.stdout.fileno(), sys.stdout.isatty(), sys.stdout.encoding, sys.stdout.errors],
    "hook": str(sys.excepthook is sys.__excepthook__),
    "exit": str(sys.exit),
    "switch": sys.getswitchinterval(),
    "recursion": sys.getrecursionlimit(),
    "service": os.environ.get("WANDB_SERVICE"),
    "variables": sorted(k for k in os.environ if "MALLOC" in k or "WARM" in k),
    "threshold": gc.get_threshold() if (gc := __import__("gc")) else None,
    "enabled": gc.isenabled(),
    "main": sys.modules["__main__"].__dict__ is globals(),
    "spec": str(__spec__),
    "site": "sitecustomize" in sys.modules,
    "finders": [str(getattr(it, "__name__", type(it))) for it in sys.meta_path
                if "BeforeSubmodules" not in str(it)],
}
with open("seen.json", "w") as file:
    json.dump(seen, file)
wandb.init()
wandb.log({"score": 1})
"""


def test_a_program_sees_what_it_sees_by_hand(root: Path) -> None:
    arguments = write_sweep(root, LOOKING, parameters={"a": {"value": 1}})
    seen = {}
    for way in ("warm", "cold"):
        options = ["--cold"] if way == "cold" else []
        done = run(root, *arguments, *options, "--workers", "1", PYTHONHASHSEED="0")
        assert records(root)[1].get("state") == "completed", done.stdout
        assert ("forked" in done.stdout) == (way == "warm")
        seen[way] = json.loads((root / "seen.json").read_text())
        subprocess.run(["rm", "-r", root / "results"], check=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    log = root / "by-hand.log"
    by_itself = subprocess.run(
        ["setsid", "--wait", "python", "modules/program.py", "--a=1"],
        cwd=root,
        env={**os.environ, "PATH": path, "WANDB_MODE": "offline", "PYTHONHASHSEED": "0"},
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
    )
    assert by_itself.returncode == 0, log.read_text()
    by_hand = json.loads((root / "seen.json").read_text())
    assert by_hand["frames"] == ["frames", "<module>"]
    for found in (*seen.values(), by_hand):
        found["finders"] = [it for it in found["finders"] if "WhenImported" not in it]
    assert seen["cold"] == by_hand
    assert seen["warm"] == by_hand


ENDING = """
import atexit, logging.handlers, os, sys, tempfile, threading, time, weakref
import torch, wandb
how = sys.argv[1].removeprefix("--how=")
unclosed = open(f"unclosed-{how}", "w")
unclosed.write("kept")
class Owner: pass
owner = Owner()
weakref.finalize(owner, print, "finalized", flush=True)
folder = tempfile.TemporaryDirectory(dir=".")
atexit.register(lambda: print("at exit", os.path.exists(folder.name), flush=True))
handler = logging.handlers.MemoryHandler(100, target=logging.FileHandler(f"logged-{how}"))
# What W&B's threads say after its end is chance, by hand too; and whether they leave a lock behind,
# for which a print would wait.
logging.getLogger("asyncio").disabled = True
logger = logging.getLogger("program")
logger.addHandler(handler)
logger.warning("logged")
class Last:
    def __del__(self, write=os.write): write(1, b"deleted\\n")
last = Last()
over = threading.Event()
def outlast(): over.wait(60); time.sleep(0.3); print("thread ended", flush=True)
threading.Thread(target=outlast).start()
run = wandb.init()
wandb.log({"score": 1, "table": wandb.Table(columns=["a"], data=[[1]])})
print("to stdout", end="")
over.set()
if how == "raise": raise ValueError("as asked")
if how == "exit": raise SystemExit(3)
if how == "text": sys.exit("a reason")
if how == "interrupt": raise KeyboardInterrupt
"""
ENDS = {"end": 0, "raise": 1, "exit": 3, "text": 1, "interrupt": 130}
KEPT_BY_WANDB = ("raise", "interrupt")
"""W&B keeps the exception and so all that the program holds: whether that is taken apart is chance,
by hand too.
"""


def test_a_program_ends_as_it_ends_by_hand(root: Path) -> None:
    arguments = write_sweep(root, ENDING, parameters={"how": {"values": list(ENDS)}})
    run(root, *arguments, "--workers", "1")
    records_found = records(root)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for number, (how, code) in enumerate(ENDS.items(), start=1):
        log = results(root) / "trials" / str(number) / "output.log"
        by_hand = subprocess.run(
            ["python", "modules/program.py", f"--how={how}"],
            cwd=root,
            env={**os.environ, "PATH": path, "WANDB_MODE": "offline"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert by_hand.returncode in (code, -2), by_hand.stdout
        assert records_found[number].get("exit") in (code, -2), how
        lines, by_hand_lines = own_lines(log.read_text()), own_lines(by_hand.stdout)
        if how in KEPT_BY_WANDB:
            lines, by_hand_lines = (
                [line for line in found if line != "deleted"] for found in (lines, by_hand_lines)
            )
        else:
            assert (root / f"unclosed-{how}").read_text() == "kept"
        assert lines == by_hand_lines, how
        assert (root / f"logged-{how}").read_text() == "logged\n" * 2
    assert not list(root.glob("tmp*"))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no on_exit")
def test_what_a_trial_leaves_to_the_c_library_is_done_at_its_end(root: Path) -> None:
    program = """
import ctypes, wandb
wandb.init()
wandb.log({"score": 1})
libc = ctypes.CDLL(None)
libc.on_exit(libc.abort, None)
"""
    done = run(root, *write_sweep(root, program, parameters={"a": {"value": 1}}))
    assert "forked" in done.stdout
    assert "SIGABRT" in records(root)[1]["reason"]


def own_lines(text: str) -> list[str]:
    lines = text.splitlines()
    plain = (re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines)
    kept = (re.sub(r"wandb:.*", "", line).strip() for line in plain)
    return sorted(line for line in kept if line)


DURING_IMPORT = {
    "a thread": (
        "import threading\n"
        "threading.Thread(target=threading.Event().wait, daemon=True, name='watcher').start()\n",
        "an import has started the thread watcher",
        "program None user\n",
    ),
    "an end": (
        "import os, sys\nif not sys.argv[1:]:\n    os._exit(3)\n",
        "importing beforehand has failed",
        "program None user\n",
    ),
    "a text": ("print('hello from a library')\n", "", "hello from a library\nprogram None user\n"),
    "a variable": ("import os\nos.environ['THEIRS'] = 'library'\n", "", "program library user\n"),
    "a variable less": ("import os\ndel os.environ['USERS']\n", "", "program None None\n"),
    "a variable of the program": (
        "import os\nos.environ['MINE'] = 'library'\n",
        "the program and an import both set MINE",
        "library None user\n",
    ),
}


@pytest.mark.parametrize(("library", "why", "printed"), DURING_IMPORT.values(), ids=DURING_IMPORT)
def test_what_an_import_does_in_the_warm_process(
    root: Path, library: str, why: str, printed: str
) -> None:
    """It is said and no trial suffers; what it prints stands in each trial's output."""
    installed = Path(sysconfig.get_path("purelib"), f"imported_{os.getpid()}.py")
    installed.write_text(library)
    program = f"""
import os
os.environ["MINE"] = "program"
import {installed.stem}, wandb
wandb.init()
wandb.log({{"score": 1}})
print(*map(os.environ.get, ("MINE", "THEIRS", "USERS")))
"""
    try:
        arguments = write_sweep(root, program, parameters={"a": {"values": [1, 2]}})
        done = run(root, *arguments, "--workers", "2", WANDB_MODE="disabled", USERS="user")
    finally:
        installed.unlink()
    assert [record.get("value") for record in records(root).values()] == [1, 1], done.stdout
    assert (f"each a new process: {why}" if why else "forked from a warm process") in done.stdout
    for number in (1, 2):
        output = (results(root) / "trials" / str(number) / "output.log").read_text()
        assert output == printed
