"""The ways to run a program shape: by hand, as a sweep, through `wandb agent`; and what came of it.

Every way gets a fresh copy of a generated project with the shape laid over it, a home of its own
and no account. What a way has started and left behind is found by a mark in its environment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
import venv
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import outcome
import wandb_api
import yaml
from conftest import ROOT, tree
from environments import commands, environment
from outcome import Ids, Outcome
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args
from wandb.sdk.lib.config_util import save_config_file_from_dict

SHAPES = ROOT / "tests" / "shapes"
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
SWEEP_FILE = Path("config", "wandb-sweep.yaml")
MARK = "SHAPE_IS_RUN_AS"
HAND, SERVER = Ids("c4d7e0f3", "5a1d0b2c"), "e7a9c1d3"
"""Ids by hand, and of the sweep on the server."""
TIME = 240.0
"""Seconds for any one command."""


@dataclass(frozen=True)
class Shape:
    """A program of `shapes/NAME/`, or of another shape's folder.

    like: whose, then.
    reason: what the reason of a failing trial must name; None where no trial fails.
    environ: what a user has set beside.
    installed: how pip installs the project itself into an environment in its folder, if at all.
    online: False where its runs send artifacts, which the server of these tests does not take.
    unpromised: parts of the outcome that differ from one run by hand to the next.
    """

    name: str
    like: str | None = None
    reason: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    installed: Literal["as editable", "as a copy"] | None = None
    online: bool = True
    unpromised: frozenset[str] = frozenset()

    @property
    def folder(self) -> Path:
        return SHAPES / (self.like or self.name)

    @property
    def sweep(self) -> dict[str, Any]:
        own = self.folder / "sweep.yaml"
        file = own if own.exists() else SHAPES / "sweep.yaml"
        return dict(yaml.safe_load(file.read_text()))

    @property
    def is_python(self) -> bool:
        """Whether its command begins with Python; all others start cold in any case."""
        first = self.sweep.get("command", ["${interpreter}"])[:2]
        return bool({"${interpreter}", "python3"}.intersection(first))

    @property
    def points(self) -> list[dict[str, Any]]:
        """The trials' parameters, in W&B's order; its server's JSON writes 1.0 as 1."""
        drawn = wandb_api.points(self.sweep)[0]
        return [{name: whole(value) for name, value in point.items()} for point in drawn]


class TookTooLongError(AssertionError):
    """A command did not end."""


def whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True)
class Place:
    """A copy of the project with the shape in it. before: its files, as they were."""

    shape: Shape
    root: Path
    environ: dict[str, str]
    before: dict[str, bytes]

    @property
    def python(self) -> str:
        return shutil.which("python", path=self.environ["PATH"]) or "python"

    @property
    def log(self) -> Path:
        return self.root.with_name("log")


def packages() -> Path:
    """The environment of the shapes: PyTorch for CPUs first, then what a project and they need."""
    files = (PROJECT / "requirements.txt", SHAPES / "requirements.txt")
    lines = [line for file in files for line in file.read_text().splitlines()]
    wanted = sorted({line for line in lines if re.match(r"\w", line)})
    wanted.sort(key=lambda line: not line.startswith("torch=="))
    # Most of it is never imported; what is, Python compiles then.
    return environment("shapes", "--no-compile", *wanted)


def lay_out(shape: Shape, project: Path, folder: Path) -> Place:
    """Copy the project to `folder` and the shape over it."""
    root, home = folder / "project", folder / "home"
    shutil.copytree(project, root)
    home.mkdir()
    shutil.copytree(shape.folder, root, dirs_exist_ok=True)
    (root / "sweep.yaml").unlink(missing_ok=True)
    (root / SWEEP_FILE).write_text(yaml.safe_dump(shape.sweep, sort_keys=False))
    if (root / "home").exists():
        shutil.copytree(root / "home", home, dirs_exist_ok=True)
        shutil.rmtree(root / "home")
    path = [str(commands(packages())), os.environ["PATH"]]
    if shape.installed:
        path.insert(0, str(commands(_install(root, shape.installed == "as editable"))))
    kept = ("WANDB", "OMP_", "CUDA", "PYTHON", "NETRC", "VIRTUAL_ENV", "HYPERTRAIN", "PYTEST")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(kept)}
    environ |= {"HOME": str(home), "NETRC": os.devnull, "PATH": os.pathsep.join(path)}
    environ |= {"OMP_NUM_THREADS": "1", "COLUMNS": "160", MARK: uuid.uuid4().hex, **shape.environ}
    return Place(shape, root, environ, tree(root))


def _install(root: Path, editable: bool) -> Path:
    """An environment in the project's folder that holds the project itself."""
    home = root / ".venv"
    venv.create(home, with_pip=False)
    (there,) = packages().glob("lib/*/site-packages")
    (here,) = home.glob("lib/*/site-packages")
    (here / "shapes.pth").write_text(f"{there}\n")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    pip += ["--python", str(commands(home) / "python"), "install", "--no-deps"]
    pip += ["--no-build-isolation", *(["--editable"] if editable else [])]
    subprocess.run([*pip, "."], cwd=root, check=True)
    return home


# By hand


def by_hand(place: Place, point: Mapping[str, Any]) -> Outcome:
    """Run the command of one trial as someone would who repeats what `wandb agent` starts."""
    sweep = place.shape.sweep
    args = {name: {"value": value} for name, value in point.items()}
    config = f"wandb/sweep-{HAND.sweep}/config-{HAND.run}.yaml"
    (place.root / config).parent.mkdir(parents=True)
    save_config_file_from_dict(str(place.root / config), args)  # type: ignore[no-untyped-call]
    macros = create_sweep_command_args({"args": args})
    macros |= {"env": ["/usr/bin/env"], "interpreter": ["python"], "program": [sweep["program"]]}
    words: list[str] = []
    for part in map(str, create_sweep_command(sweep.get("command"))):
        words += macros[part[2:-1]] if part.startswith("${") else [part]
    environ = {
        "WANDB_MODE": "offline",
        "WANDB_PROJECT": sweep["project"],
        "WANDB_SWEEP_ID": HAND.sweep,
        "WANDB_RUN_ID": HAND.run,
        "WANDB_SWEEP_PARAM_PATH": config,
    }
    status = run_command(words, place, environ)
    leftovers(place, patience=0.5)  # by hand nobody ends what a program leaves behind
    trial = outcome.trial(place.root, place.log, sweep["metric"], status, HAND)
    return outcome.finish(place.root, place.before, [trial])


def run_command(
    words: Sequence[str],
    place: Place,
    environ: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> int:
    """Run a command in the project, its output to `place.log`; return its status.

    before: what the new process does first.
    """
    with place.log.open("wb") as output:
        process = subprocess.Popen(
            words,
            cwd=place.root,
            env={**place.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            executable=shutil.which(words[0], path=place.environ["PATH"]),
            start_new_session=True,
            preexec_fn=before,
        )
        try:
            return process.wait(TIME)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            leftovers(place, patience=0)
            raise TookTooLongError(f"{words}:\n{place.log.read_text()[-3000:]}") from None


# As a sweep


def sweep(place: Place, *options: str, before: Callable[[], None] | None = None) -> Outcome:
    """Run the sweep by `python -m hypertrain`."""
    words = [place.python, "-m", "hypertrain", "--workers=2", *options]
    status = run_command(words, place, {"WANDB_MODE": "offline"}, before)
    left = leftovers(place, patience=2)
    said = place.log.read_text()
    assert not re.search("^Traceback", said, re.MULTILINE), said
    (results,) = (place.root / "results").glob("sweep-*")
    records: dict[int, dict[str, Any]] = {}
    for line in (results / "journal.jsonl").read_text().splitlines():
        record = json.loads(line)
        records[record["number"]] = record
    trials = [
        outcome.recorded_trial(place.root, results, records[number], place.shape.sweep["metric"])
        for number in sorted(records)
    ]
    assert status == (0 if any(trial.completed for trial in trials) else 1), said
    return replace(outcome.finish(place.root, place.before, trials), leftovers=left)


# Through the agent

AGENT = """
# The agent waits five seconds between two looks at its trial; nothing else of it is changed.
from wandb import wandb_agent
from wandb.cli.cli import cli
wandb_agent.Agent.POLL_INTERVAL = 0.2
cli()
"""


def agent(place: Place, count: int) -> Outcome:
    """Run the first `count` trials by the real `wandb agent`, online, against a server here."""
    sweep = place.shape.sweep
    with wandb_api.serve() as server:
        points, size = wandb_api.points(sweep)
        told = wandb_api.Sweep(SERVER, server.entity, sweep["project"], sweep, points, size)
        server.sweeps[told.name] = told
        words = [place.python, "-c", AGENT, "agent", f"--count={count}", told.path]
        mode = "online" if place.shape.online else "offline"
        # On Python 3.14 W&B's telemetry, which is online only, says in the end that it has ended.
        environ = {**server.env, "WANDB_MODE": mode, "WANDB_ERROR_REPORTING": "false"}
        run_command(words, place, environ)
        started = [run.name for run in server.runs.values() if run.sweep == told.name]
        trials = [
            outcome.trial(place.root, place.log, sweep["metric"], None, Ids(run_id, SERVER))
            for run_id in started
        ]
        for trial in trials:
            for run in trial.runs:
                known = server.runs[run.id].ended if place.shape.online else run.exit_code
                assert known == run.exit_code, "what the server knows and what the run's file says"
    leftovers(place, patience=0.5)
    return outcome.finish(place.root, place.before, trials)


# What is left


def leftovers(place: Place, patience: float) -> list[str]:
    """Command lines of what still runs after some seconds of patience; it is ended here."""
    until = time.monotonic() + patience
    while (left := marked(place)) and time.monotonic() < until:
        time.sleep(0.05)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return list(left.values())


def marked(place: Place) -> dict[int, str]:
    """Processes that descend from what was started in this place, by their number."""
    mark = f"{MARK}={place.environ[MARK]}".encode()
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (entry / "environ").read_bytes():
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                found[int(entry.name)] = words.replace("\0", " ").strip()
    return found
