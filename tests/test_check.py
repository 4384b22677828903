"""`python -m hypertrain check`: each finds what it is there for, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Bake
from hypertrain.check import platform as check_platform
from hypertrain.check import program as check_program
from hypertrain.check.check import check_sweep
from hypertrain.check.probe import Finding, copy_of
from hypertrain.sweepfile.sweep import Sweep, load
from platform_client import CLIENTS, KEY, User, client_environment, platform_user
from platform_state import Fault

PARSER = """\
import argparse, json, math, os, pathlib, sys, time
parser = argparse.ArgumentParser(allow_abbrev=False)
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--optimizer", choices=("sgd", "adam"))
parser.add_argument("--depth", type=int)
parser.add_argument("--nesterov", type=bool)
parser.add_argument("--layers", type=json.loads)
args = parser.parse_args()
pathlib.Path(__file__).with_name("trained").touch()
"""
LOG = """\
import wandb
run = wandb.init()
run.log({"loss": 1.0})
"""
SPACE = {"lr": {"values": [0.1, 0.01]}}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    (tmp_path / "project/modules").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def write(root: Path, program: str = PARSER + LOG, **keys: Any) -> Sweep:
    (root / "modules/train.py").write_text(program)
    whole = {
        "program": "modules/train.py",
        "method": "grid",
        "metric": {"name": "loss"},
        "parameters": SPACE,
        **keys,
    }
    (root / "sweep.yaml").write_text(yaml.safe_dump(whole))
    return load(root / "sweep.yaml", root)


def options(sweep: Sweep, root: Path) -> Finding:
    with copy_of(root) as here:
        assert here
        return check_program.check_options(sweep, root, here)


def metric(sweep: Sweep, root: Path) -> Finding:
    with copy_of(root) as here:
        assert here
        return check_program.check_metric(sweep, root, here)


def files(root: Path) -> set[str]:
    names = {str(path.relative_to(root)) for path in root.rglob("*")}
    return {name for name in names if "__pycache__" not in name}


def run(root: Path, environ: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hypertrain", *arguments, "check"],
        cwd=root,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end, f"{path.name} did not come"
        time.sleep(0.05)


def assert_gone(pid: int) -> None:
    end = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < end, "the program still runs"
        time.sleep(0.05)


def assert_finding(finding: Finding, status: str, *texts: str) -> None:
    assert finding.status == status, finding.text
    assert "\n" not in finding.text
    for text in texts:
        assert text in finding.text


# ---- the sweep file


WEIGHTED = {"values": [0.1, 0.01], "probabilities": [0.5, 0.5]}


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"parameters": {"lr": {"min": 0, "max": 0.5}}, "method": "random"}, "parameters.lr: W&B"),
        ({"parameters": {"lr": {"values": [float("nan")]}}}, "no .nan"),
        ({"method": "random"}, "run_cap: method random never ends"),
        (
            {"method": "bayes", "parameters": {"a": {"parameters": {"lr": WEIGHTED}}}},
            "parameters.a.lr.probabilities: W&B's bayes stops at them",
        ),
        ({"method": "bayes", "parameters": {"lr": {"value": 1}}}, "W&B's bayes needs one"),
        ({"command": ["python", "${program}"]}, 'all trials would be alike; add "${args}"'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_server_would_refuse(root: Path, keys: dict[str, Any], text: str) -> None:
    finding, *_ = check_sweep(write(root, **keys), root)
    assert_finding(finding, "problem", "sweep.yaml", text)


@pytest.mark.parametrize(
    ("keys", "trials"),
    [
        ({}, "2 trials"),
        ({"run_cap": 1}, "1 trial"),
        ({"method": "random", "run_cap": 7}, "7 trials"),
    ],
    ids=["grid", "capped grid", "random"],
)
def test_how_many_trials(root: Path, keys: dict[str, Any], trials: str) -> None:
    (finding,) = check_sweep(write(root, **keys), root)
    assert_finding(finding, "ok")
    assert finding.text.endswith(f" search, {trials}")


def test_what_is_taken_with_a_warning(root: Path) -> None:
    program = "import wandb\nrun = wandb.init()\nrun.log({'loss': run.config.lr})\n"
    parameters = {"lr": {"distribution": "log_uniform", "min": 0.1, "max": 0.2}}
    keys = {"parameters": parameters, "method": "random", "run_cap": 1}
    good, *warnings = check_sweep(
        write(root, program, command=["python", "${program}"], **keys), root
    )
    assert_finding(good, "ok")
    for finding, text in zip(
        warnings, ["log_uniform_values", "by wandb.config alone"], strict=True
    ):
        assert_finding(finding, "warning", "sweep.yaml: line ", text)


# ---- the program's options

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"lrr": {"value": 1}}, "has no option --lrr (did you mean --lr?)"),
    "choice": ({"optimizer": {"values": ["sgd", "adamw"]}}, "argument --optimizer"),
    "type": ({"lr": {"values": [0.1, "fast"]}}, "argument --lr: invalid float value: 'fast'"),
    "middle": ({"depth": {"values": [1, 2.5, 3]}}, "'2.5'"),
    "distribution": ({"depth": {"min": 1.0, "max": 2.0}}, "argument --depth"),
    "rare": (
        {"optimizer": {"values": ["sgd", "rms", "adam"], "probabilities": [0.5, 0.02, 0.48]}},
        "'rms'",
    ),
    "boolean": ({"nesterov": {"values": [True, False]}}, "--nesterov=False arrives as True"),
    "list": ({"layers": {"values": [[1, 2], ["a"]]}}, "argument --layers"),
}


@pytest.mark.parametrize(("parameters", "text"), REFUSED.values(), ids=REFUSED)
def test_refused_parameters(root: Path, parameters: dict[str, Any], text: str) -> None:
    sweep = write(root, parameters=SPACE | parameters, method="random", run_cap=1)
    before = files(root)
    assert_finding(options(sweep, root), "problem", "modules/train.py", text)
    assert files(root) == before


def test_every_wrong_parameter_is_named(root: Path) -> None:
    parameters = {**SPACE, "depth": {"values": [1, "a"]}, "width": {"value": 1}}
    finding = options(write(root, parameters=parameters), root)
    assert_finding(finding, "problem", "--depth", "--width")


def test_a_missing_required_option(root: Path) -> None:
    sweep = write(root, parameters={"depth": {"value": 1}})
    assert_finding(options(sweep, root), "problem", "required: --lr")


ACCEPTED: dict[str, dict[str, Any]] = {
    "values": {"optimizer": {"values": ["sgd", "adam"]}, "depth": {"values": [1, 2]}},
    "ranges": {"depth": {"min": 1, "max": 10**9}, "lr": {"min": 0.1, "max": 0.2}},
    "true alone": {"nesterov": {"value": True}},
}


@pytest.mark.parametrize("parameters", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted_parameters(root: Path, parameters: dict[str, Any]) -> None:
    sweep = write(root, parameters=SPACE | parameters, method="random", run_cap=1)
    assert_finding(options(sweep, root), "ok")
    assert not (root / "modules/trained").exists()


def test_a_parser_in_a_sibling_module_behind_a_launcher(root: Path) -> None:
    launcher = """
import argparse, runpy, sys
parser = argparse.ArgumentParser()
parser.add_argument("--processes", type=int)
parser.add_argument("rest", nargs=argparse.REMAINDER)
sys.argv = parser.parse_args().rest
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    (root / "launch.py").write_text(launcher)
    (root / "modules/options.py").write_text(PARSER)
    words = ["${interpreter}", "launch.py", "--processes=1", "${program}", "${args}"]
    program = "import pathlib, sys\nsys.path[0] = 'modules'\nimport options\n"
    sweep = write(root, program, command=words)
    assert_finding(options(sweep, root), "ok")
    sweep = write(root, program, command=words, parameters={"lr": {"value": "fast"}})
    assert_finding(options(sweep, root), "problem", "'fast'")


NOT_CHECKED = {
    "no argparse": (
        "import pathlib\npathlib.Path(__file__).with_name('trained').touch()\n",
        {},
        "",
    ),
    "known args": (
        PARSER.replace("parse_args", "parse_known_args"),
        {"width": {"value": 1}},
        "--width",
    ),
    "crash": ("import argparse, nothing_of_this_name\n", {}, "nothing_of_this_name"),
    "no parser": ("import argparse\n", {}, ""),
}


@pytest.mark.parametrize(("program", "parameters", "text"), NOT_CHECKED.values(), ids=NOT_CHECKED)
def test_options_that_cannot_be_checked(
    root: Path, program: str, parameters: dict[str, Any], text: str
) -> None:
    sweep = write(root, program, parameters=SPACE | parameters)
    assert_finding(options(sweep, root), "unknown", text)
    assert not (root / "modules/trained").exists()


def test_a_program_that_never_reads_its_options(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_program, "PARSE", 3.0)
    pid = f"pathlib.Path({str(root)!r}, 'pid').write_text(str(os.getpid()))\n"
    slow = PARSER.replace("parser =", f"{pid}time.sleep(300)\nparser =")
    assert_finding(options(write(root, slow), root), "unknown", "in time")
    assert_gone(int((root / "pid").read_text()))


# ---- the metric

WITHOUT_METRIC = {
    "other name": (LOG.replace("loss", "cost"), "loss was never logged; the program logged cost"),
    "not a number": (LOG.replace("1.0", "math.nan"), "loss was never a finite number"),
    "nothing": ("", "the program logged nothing"),
    "crash": ("raise RuntimeError('no such device')\n" + LOG, "no such device"),
    "killed": ("os.kill(os.getpid(), 9)\n", "SIGKILL"),
}


@pytest.mark.parametrize(("end", "text"), WITHOUT_METRIC.values(), ids=WITHOUT_METRIC)
def test_the_metric_is_not_logged(root: Path, end: str, text: str) -> None:
    sweep = write(root, PARSER + end)
    before = files(root)
    assert_finding(metric(sweep, root), "problem", text)
    assert files(root) == before


STOPPED = """\
import signal, subprocess
here = pathlib.Path(os.environ["TOLD"])
def stop(*_):
    (here / "stopped").touch()
    sys.exit()
signal.signal(signal.SIGTERM, stop)
child = subprocess.Popen(["sleep", "300"])
(here / "pids").write_text(f"{os.getpid()} {child.pid}")
for folder in ("results", "data", "."):
    pathlib.Path(folder).mkdir(exist_ok=True)
    pathlib.Path(folder, "new").touch()
assert wandb.config.lr == args.lr == 0.1
run.log({"loss": 1.0})
time.sleep(300)
"""


def test_a_long_trial_is_stopped_some_time_after_the_first_value(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLD", str(tmp_path))
    monkeypatch.setattr(check_program, "REST", 2.0)
    sweep = write(root, PARSER + "import wandb\nrun = wandb.init()\n" + STOPPED)
    for name in ("results", "wandb"):
        (root / name).mkdir()
    before = files(root)
    assert_finding(metric(sweep, root), "ok", "loss", "1")
    for pid in (tmp_path / "pids").read_text().split():
        assert_gone(int(pid))
    assert (tmp_path / "stopped").exists()
    assert files(root) == before | {"data", "data/new"}


def test_a_metric_that_does_not_come_in_time(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_program, "TRIAL", 2.0)
    sweep = write(root, PARSER + "time.sleep(300)\n")
    assert_finding(metric(sweep, root), "unknown", "loss", "only nothing")


def test_ctrl_c_skips_the_trial(root: Path) -> None:
    end = f"pathlib.Path({str(root)!r}, 'pid').write_text(str(os.getpid()))\ntime.sleep(300)\n"
    write(root, PARSER + end)
    environ = {**os.environ, "PATH": "/usr/bin:/bin", "PYTHONPATH": package(), "HOME": str(root)}
    process = run(root, environ, "--sweep", "sweep.yaml")
    wait_for(root / "pid")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert "loss: the trial was skipped" in output
    assert "flows: there is no neuro-flow" in output
    assert_gone(int((root / "pid").read_text()))


def package() -> str:
    return str(Path(check_program.__file__).parents[2])


# ---- the platform


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Path:
    """The commands of a client version."""
    return client_environment(request.param) / "bin"


@pytest.fixture(scope="module")
def user(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """What is asked of the platform, both client versions leave to the same `neuro`."""
    folder = tmp_path_factory.mktemp("user")
    shutil.copytree(project, folder / project.name)
    with platform_user("apolo-flow", folder / project.name, folder) as someone:
        someone.add_secret()
        yield someone


@pytest.fixture
def at_home(user: User, monkeypatch: pytest.MonkeyPatch) -> User:
    for name, value in user.environ().items():
        monkeypatch.setenv(name, value)
    return user


def findings(project: Path) -> list[tuple[str, str]]:
    return [(f.status, f.text) for f in check_platform.check_platform(project, {})]


BROKEN = [
    ("hypertrain", "needs: [upload]", "needs: [uplaod]", "uplaod"),
    ("hypertrain", "outputs.sweep", "output.sweep", "no attribute 'output'"),
    ("hypertrain", "strategy:\n      matrix", "strategies:\n      matrix", "strategies"),
    ("hypertrain", "ws:.neuro/upload", "ws:.neuro/uplaod", "uplaod does not exist"),
    ("live", "images.myimage.ref", "images.mine.ref", "No attribute mine"),
    ("live", "kind: live", "kind: lives", "lives"),
]


@pytest.mark.doors
def test_flows(bake: Bake, client: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{client}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    project = bake(project_name="Flow check")
    before = files(project)
    assert_finding(check_platform.check_flows(project), "ok")
    for name, old, new, text in BROKEN:
        flow = project / f".neuro/{name}.yml"
        whole = flow.read_text()
        assert old in whole
        flow.write_text(whole.replace(old, new))
        assert_finding(check_platform.check_flows(project), "problem", f".neuro/{name}.yml", text)
        flow.write_text(whole)
    assert files(project) == before


def test_a_client_that_is_no_such_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "neuro-flow"
    fake.write_text("#!/bin/sh\necho version 19\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert_finding(check_platform.check_flows(tmp_path), "unknown", "version 19")


@pytest.mark.doors
def test_a_fresh_project_passes(user: User) -> None:
    before = files(user.project)
    process = run(user.project, user.environ())
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    *lines, empty, total = output.splitlines()
    assert (len(lines), empty, total) == (10, "", "10 ok, 0 problem, 0 unknown"), output
    assert "12 trials" in lines[0]
    assert "accuracy01/valid" in lines[2]
    assert files(user.project) == before
    assert KEY not in output


@pytest.mark.doors
def test_secret_and_preset(at_home: User) -> None:
    for given, expected in [
        ({}, ["ok", "ok", "ok"]),
        ({"preset": "gpu-small"}, ["ok", "ok", "ok"]),
        ({"token_secret_name": "wandb", "preset": "gpu-smal"}, ["ok", "problem", "problem"]),
    ]:
        found = list(check_platform.check_platform(at_home.project, given))
        assert [finding.status for finding in found] == expected, found
        assert given.get("token_secret_name", "wandb-token") in found[1].text
        assert given.get("preset", "cpu-small") in found[2].text
    assert "neuro secret add wandb @~/wandb-token.txt" in found[1].text
    assert "cpu-small, gpu-small, gpu-slice" in found[2].text


@pytest.mark.doors
def test_what_a_preset_is_and_costs(at_home: User) -> None:
    said = {}
    for name in ("", "cpu-small", "gpu-small", "gpu-slice"):
        *_, finding = check_platform.check_platform(at_home.project, {"preset": name})
        said[name] = finding.text
    assert said == {
        "": "preset: none is asked for, so cpu-small: no GPU, 0.5 credits an hour, "
        "the cluster's first one",
        "cpu-small": "preset cpu-small: no GPU, 0.5 credits an hour",
        "gpu-small": "preset gpu-small: Nvidia: 2 x Tesla K80 12.9 GB, 2.5 credits an hour, "
        "preemptible",
        "gpu-slice": "preset gpu-slice: Nvidia MIG: 1 x 1g.5gb, 1 credits an hour",
    }


def test_params_that_a_bake_would_refuse(project: Path) -> None:
    given = {"workers": "0", "preset": "any", "colour": "red"}
    found = [finding.text for finding in check_platform.check_params(project, given)]
    assert [line.split(":")[0] for line in found] == ["--param colour", "--param workers '0'"]
    assert not list(check_platform.check_params(project, {"workers": "256"}))


@pytest.mark.doors
def test_a_login_that_has_ended(at_home: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform_api.TOKEN", "another one")
    ((status, said),) = findings(at_home.project)
    assert status == "problem", said
    assert "`neuro login`" in said


@pytest.mark.doors
@pytest.mark.parametrize("action", [500, "drop"])
def test_a_platform_in_trouble(at_home: User, action: int | str) -> None:
    at_home.platform.faults.append(Fault("GET .*", action, times=1000))
    try:
        ((status, said),) = findings(at_home.project)
    finally:
        at_home.platform.faults.clear()
    assert status == "unknown", said
    assert "cannot be checked: ERROR: " in said


@pytest.mark.doors
def test_secrets_in_trouble(at_home: User) -> None:
    at_home.platform.faults.append(Fault("GET .*/secrets", 500, times=1000))
    try:
        found = findings(at_home.project)
    finally:
        at_home.platform.faults.clear()
    assert [status for status, _ in found] == ["ok", "unknown", "ok"], found


@pytest.mark.doors
def test_a_silent_platform(at_home: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_platform, "ANSWER", 4.0)
    at_home.platform.faults.append(Fault("GET .*", "silent", times=1000))
    try:
        ((status, said),) = findings(at_home.project)
    finally:
        at_home.platform.faults.clear()
    assert status == "unknown"
    assert "no answer in time" in said


@pytest.mark.doors
def test_nobody_is_logged_in(
    at_home: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ((status, said),) = findings(at_home.project)
    assert (status, "`neuro login`" in said) == ("unknown", True)
    assert not files(tmp_path), "no client was to be called"


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        (KEY, "ok", ""),
        (KEY + "\n", "ok", ""),
        (" \n", "problem", "printf %s"),
        ("", "problem", "is empty"),
        (f"{KEY}\n{KEY}", "problem", "holds no W&B key"),
        ("YOUR_WANDB_KEY", "problem", "holds no W&B key"),
        (None, "unknown", "No such file"),
    ],
)
def test_the_key_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, status: str, said: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_SECRET_FILE", "key file.txt")
    file = tmp_path / "key file.txt"
    if text is not None:
        file.write_text(text)
        file.chmod(0o600)
    finding = check_platform.check_key_file()
    assert_finding(finding, status, "key file.txt", said)
    assert KEY not in finding.text
    if status == "problem":
        command = finding.text.split("`")[1].replace("YOUR_WANDB_KEY", KEY)
        subprocess.run(["sh", "-c", f"umask 022; {command}"], check=True)
        assert check_platform.check_key_file().status == "ok"


def test_a_key_file_that_others_can_read_or_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_SECRET_FILE", raising=False)
    file = tmp_path / "wandb-token.txt"
    file.write_text(KEY)
    file.chmod(0o644)
    assert_finding(check_platform.check_key_file(), "warning", "others can read it; `chmod 600")
    file.unlink()
    file.symlink_to(file)
    assert_finding(check_platform.check_key_file(), "problem", "cannot be read: ")
    file.unlink()
    file.mkdir()
    assert_finding(check_platform.check_key_file(), "problem", "is a folder; move it away")


# ---- the whole command


def test_a_problem_gives_exit_status_1_and_the_other_checks_go_on(root: Path) -> None:
    write(root)
    (root / "sweep.yaml").write_text("method: grid\n")
    environ = {**os.environ, "PATH": "/usr/bin:/bin", "PYTHONPATH": package(), "HOME": str(root)}
    process = run(root, environ, "--sweep", "sweep.yaml")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert "sweep.yaml: program: is missing" in output
    assert "sweep.yaml: parameters: give at least one" in output
    assert "flows: there is no neuro-flow" in output
    assert "0 ok, 2 problem, 3 unknown" in output
