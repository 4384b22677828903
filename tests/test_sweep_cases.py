"""Sweep files as people write them: each is taken as W&B takes it, or refused with its remedy.

`sweepfiles/expected.tsv` says which. says: what the messages, or the warnings, hold. remedy: what
changes in the file when it is followed, as replacements `old=>new`; then the file must be taken.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from hypertrain import UserError
from hypertrain.search.search import new_search, params_at
from hypertrain.sweepfile.space import as_sent
from hypertrain.sweepfile.sweep import Sweep, from_mapping, load
from hypertrain.trial.command import command_line
from sweep_files import of_agent
from sweeps.grid_search import grid_search_next_runs

FOLDER = Path(__file__).with_name("sweepfiles")
PROGRAMS = """
train.py start.sh tune.py run.py fit.py agent.py cli.py evaluate.py search.py config/beside.py
scripts/train.py src/train.py src/tools/train.py tools/jobs/train.py nets/conv.py solver/run.py
pkg/main.py modules/train.py
""".split()


@dataclass(frozen=True)
class Case:
    file: str
    here: str
    says: str
    remedy: str

    @property
    def taken(self) -> bool:
        return self.here == "taken"

    @property
    def text(self) -> str:
        content = (FOLDER / self.file).read_bytes()
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content.decode("latin-1")

    def remedied(self) -> str:
        text = self.text
        for edit in self.remedy.split(";;"):
            old, new = (part.replace("\\n", "\n").replace("\\t", "\t") for part in edit.split("=>"))
            old = old.replace("\\\n", "\\n")  # a backslash of the file itself
            assert old in text, old
            text = text.replace(old, new)
        return text


with (FOLDER / "expected.tsv").open(encoding="utf-8", newline="") as table:
    CASES = [Case(**row) for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)]
TAKEN = [case for case in CASES if case.taken]
REFUSED = [case for case in CASES if not case.taken]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the programs that the files name."""
    folder = tmp_path_factory.mktemp("project")
    for name in PROGRAMS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def read(root: Path, content: str | bytes) -> Sweep:
    path = root / "config" / "wandb-sweep.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(path, root)


def name(case: Case) -> str:
    return case.file.removesuffix(".yaml")


def test_every_file_is_in_the_table() -> None:
    assert [case.file for case in CASES] == sorted(path.name for path in FOLDER.glob("*.yaml"))
    assert len(CASES) > 120


@pytest.mark.parametrize("case", TAKEN, ids=name)
def test_taken_files_warn_of_what_may_be_meant_otherwise(case: Case, root: Path) -> None:
    warnings = "\n".join(read(root, case.text).warnings)
    for text in filter(None, case.says.split(" & ")):
        assert text in warnings
    for line in warnings.splitlines():
        assert re.match(r"\S+/config/wandb-sweep\.yaml: line \d+: [\w.]+: ", line)
        expected = bool(case.says) or "there is no command" in line or "~ is not expanded" in line
        assert expected, line


@pytest.mark.parametrize("case", TAKEN, ids=name)
def test_taken_files_mean_what_they_mean_to_wandb(
    case: Case, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grid's points in W&B's order; the command line of its agent."""
    monkeypatch.chdir(root)
    monkeypatch.setenv("WANDB_DIR", "")
    sweep = read(root, case.text)
    raw = {k: v for k, v in yaml.safe_load(case.text).items() if not k.startswith("x-")}
    assert sweep.raw == raw
    if sweep.method == "grid":
        assert points(sweep) == points_of_wandb(raw)
    params = params_at(sweep.space, new_search(sweep).ask(1) or [])
    program = raw.get("program")
    expected = of_agent(raw.get("command"), params, Path("args.json"), program)
    words = command_line(sweep, params, Path("args.json"))
    mounted = str(program).removeprefix("/project/")
    assert words == [mounted if word == program else word for word in expected]


def points(sweep: Sweep) -> list[dict[str, Any]]:
    search = new_search(sweep)
    assert search.size is not None
    return [params_at(sweep.space, search.ask(n) or []) for n in range(1, search.size + 1)]


def points_of_wandb(raw: dict[str, Any]) -> list[dict[str, Any]]:
    runs: list[Any] = []
    while found := [run for run in grid_search_next_runs(runs, raw, n=500) if run]:
        runs += found
    return [{n: as_sent(entry["value"]) for n, entry in run.config.items()} for run in runs]


@pytest.mark.parametrize("case", REFUSED, ids=name)
def test_refused_files_name_the_key_and_a_remedy(case: Case, root: Path) -> None:
    with pytest.raises(UserError) as refused:
        read(root, (FOLDER / case.file).read_bytes())
    message = str(refused.value)
    for line in message.splitlines():
        assert line.startswith(f"{root}/config/wandb-sweep.yaml: ")
    assert case.here.removeprefix("refused ") in message
    for text in case.says.split(" & "):
        assert text in message
    where = [int(n) for n in re.findall(r"^\S+: line (\d+):", message, re.MULTILINE)]
    assert where == sorted(where)
    assert all(1 <= line <= len(case.text.splitlines()) + 1 for line in where)


@pytest.mark.parametrize("case", REFUSED, ids=name)
def test_who_follows_the_remedy_is_taken(case: Case, root: Path) -> None:
    sweep = read(root, case.remedied())
    assert sweep.space
    with pytest.raises(UserError) as refused:
        read(root, (FOLDER / case.file).read_bytes())
    for text in re.findall(r"write (?:it )?`(\w+: [^`]*)`", str(refused.value)):
        if "..." not in text:
            assert holds(sweep.raw, yaml.safe_load(text)), text


def holds(whole: Any, part: Mapping[str, Any]) -> bool:
    """Whether what a remedy names stands somewhere in the file."""
    if isinstance(whole, dict):
        alike = all(key in whole and whole[key] == value for key, value in part.items())
        return alike or any(holds(value, part) for value in whole.values())
    return False


@pytest.mark.parametrize("case", CASES, ids=name)
def test_what_wandb_holds_is_read_whatever_it_is(case: Case) -> None:
    """Its server takes most files with a warning; a leaderboard shows their trials nonetheless."""
    try:
        raw = yaml.safe_load((FOLDER / case.file).read_bytes())
    except yaml.YAMLError:
        return
    if isinstance(raw, dict):
        sent = json.loads(json.dumps(raw, default=str))
        sweep = from_mapping(Path("team/project/abc123"), sent)
        assert command_line(sweep, {}, Path("args.json"))


def test_all_problems_come_at_once_and_nothing_is_left_behind(root: Path) -> None:
    target = root / "config" / "wandb-sweep.yaml"
    target.write_bytes((FOLDER / "many-problems.yaml").read_bytes())
    before = sorted(root.rglob("*"))
    package = ROOT / "{{cookiecutter.project_slug}}"
    done = subprocess.run(
        [sys.executable, "-m", "hypertrain"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert lines[0].startswith("hypertrain: config/wandb-sweep.yaml: line 1: program: there is no")
    assert len(lines) == 13
    assert all("config/wandb-sweep.yaml: line " in line for line in lines)
    assert sorted(root.rglob("*")) == before
