"""`leaderboard`, `list`, `report` and `export`: what is on disk, looked at without training."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Bake
from environments import commands, environment
from hypertrain.results.journal import Record
from hypertrain.results.outcome import Outcome, Row
from hypertrain.show.failures import causes
from hypertrain.show.look import leaderboard
from hypertrain.show.screen import Screen
from hypertrain.show.table import ranked
from hypertrain.show.words import sentence
from hypertrain.sweepfile.sweep import Metric
from rich.console import Console

LOSS = Metric("loss", "minimize")
HOSTILE = "<script>alert(1)</script> & [bold]"
ROWS = [
    Row("1", "completed", 0.5, {"lr": 0.1, "opt": "sgd", "same": 1}, 1.5),
    Row("2", "failed", None, {"lr": 0.2, "opt": HOSTILE, "same": 1}, 61.0, HOSTILE),
    Row("3", "stopped", 0.25, {"lr": 0.1, "opt": None, "same": 1}, 3661.0),
    Row("4", "completed", 0.25, {"lr": 1e-5, "opt": [1, 2], "same": 1}, 0.04),
    Row("5", "completed", 0.75, {"lr": 0.3, "opt": HOSTILE, "same": 1}, 61.0),
]
PROGRAM = """
import argparse, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
parser.add_argument("--b", type=int)
args = parser.parse_args()
run = wandb.init(config=vars(args))
if args.a == 2:
    raise ValueError(f"no model has {args.b} layers")
for step in range(3):
    run.log({"score": args.a * 10 + args.b + step})
"""


def shown(rows: list[Row], metric: Metric | None = LOSS, width: int = 160) -> str:
    console = Console(width=width, force_terminal=width < 160, color_system=None)
    with console.capture() as text:
        leaderboard(
            console,
            Outcome("a sweep", "results/s", metric, rows, lambda row: f"train.py {row.name}"),
        )
    return text.get()


# The table


def test_best_first_and_failed_last_whatever_the_goal() -> None:
    assert [row.name for row in ranked(ROWS, LOSS)] == ["3", "4", "1", "5", "2"]
    assert [row.name for row in ranked(ROWS, Metric("x", "maximize"))] == ["5", "1", "3", "4", "2"]


def test_the_table_shows_what_differs_and_takes_markup_for_text() -> None:
    text = shown(ROWS)
    assert "same" not in text
    assert HOSTILE in text
    assert "1h 01m" in text
    assert "1m 01s" in text
    assert "1e-05" in text


def test_equals_share_their_place_and_none_of_them_is_called_the_best() -> None:
    text = shown(ROWS)
    places = re.findall(r"^ *(\d+) +(\d+) +[\d.]+ +", text, re.MULTILINE)
    assert places == [("1", "3"), ("1", "4"), ("3", "1"), ("4", "5")]
    assert "2 trials tie at loss 0.25: 3 and 4." in text
    assert "Best:" not in text
    assert "Repeat the best trial (one of 2 equals):\n  train.py 3" in text


def test_one_that_is_first_alone_is_the_best() -> None:
    text = shown(ROWS[:3])
    assert "Best: loss 0.25, trial 3." in text
    assert "Repeat the best trial:\n  train.py 3" in text


@pytest.mark.parametrize("width", [40, 57, 80, 120])
def test_no_number_and_no_word_is_cut_in_two(width: int) -> None:
    """What does not fit is named, and left to the report."""
    rows = [
        Row(str(n), "completed", 0.12345 * n, {f"a_parameter_{i}": n * i for i in range(9)}, 3.0)
        for n in range(1, 6)
    ]
    text = shown(
        rows, Metric("a_long_name/of_the_validation/loss_of_the_best_epoch", "minimize"), width
    )
    table = text.partition("state" if width > 150 else "trial  ")[2].splitlines()[1:6]
    lines = text.splitlines()
    assert max(map(len, lines)) <= max(width, 52), "only the metric's name is longer"
    for row, line in zip(rows, table, strict=True):
        cells = line.split()
        assert cells[1] == row.name
        assert cells[2] == f"{row.value:.4g}"
        assert all(cell.isdigit() for cell in cells[3:-2])
    assert "but in the report" in " ".join(text.split())
    for i in range(1, 9):
        assert f"a_parameter_{i}" in text


@pytest.mark.parametrize("width", [40, 80])
def test_progress_fits_a_terminal(width: int) -> None:
    """Of the sweep that every project begins with; a narrower one breaks it between two words."""
    params = {"lr": 0.001, "optimizer": "adam", "scheduler": "cosine"}
    record = Record(12, [0, 0, 0], params, state="completed", value=0.98879, seconds=12.34)
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as text:
        screen = Screen(console, Metric("accuracy01/valid", "maximize"), 12)
        screen.started(record)
        screen.ended(record)
    lines = text.get().splitlines()
    assert len(lines) == (1 if width == 80 else 2)
    assert max(map(len, lines)) <= width
    shown = " ".join(text.get().split())
    assert shown == "[1/12] trial 12 lr=0.001 optimizer=adam scheduler=cosine 0.9888 12.3s"


def test_a_word_that_is_wider_than_the_terminal_stays_whole() -> None:
    address = f"https://wandb.example.com/{'x' * 60}"
    console = Console(width=40, force_terminal=True, color_system=None)
    with console.capture() as text:
        sentence(console, f"see {address} for more")
    assert address in text.get()


def test_failures_are_one_line_for_each_cause() -> None:
    reasons = ["ValueError: no model has 3 layers", "ValueError: no model has 5 layers", "killed"]
    rows = [Row(str(i), "failed", None, {"a": i}, note=r) for i, r in enumerate(reasons)]
    assert [len(cause.rows) for cause in causes(rows)] == [2, 1]
    text = shown(rows)
    assert "2 trials failed: ValueError: no model has 3 layers" in text
    assert "1 trial failed: killed" in text
    assert "Leaderboard" not in text


# The commands


def write_sweep(root: Path) -> None:
    (root / "modules" / "program.py").write_text(PROGRAM)
    sweep = {
        "program": "modules/program.py",
        "name": "try",
        "method": "grid",
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"a": {"values": [0, 1, 2]}, "b": {"values": [0, 1]}},
    }
    (root / "config" / "test.yaml").write_text(yaml.safe_dump(sweep))


def hypertrain(root: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB_", "COLUMNS"))}
    return subprocess.run(
        [sys.executable, "-m", "hypertrain", *arguments],
        cwd=root,
        env={**kept, "HOME": "/nonexistent", "WANDB_MODE": "offline", **environ},
        capture_output=True,
        text=True,
        timeout=150,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def swept(bake: Bake) -> Path:
    """A project whose sweep is done."""
    root = bake(project_name="Leaderboard test")
    write_sweep(root)
    done = hypertrain(root, "--sweep", "config/test.yaml", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def folder(root: Path) -> Path:
    (found,) = (root / "results").glob("sweep-*")
    return found


def data(root: Path, *arguments: str) -> Any:
    done = hypertrain(root, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_without_an_argument_it_is_the_newest_sweep(swept: Path) -> None:
    done = hypertrain(swept, "leaderboard")
    assert done.returncode == 0, done.stderr
    assert "Best: score 13, trial 4." in done.stdout
    assert "2 trials failed: exit status 1: ValueError: no model has 0 layers" in done.stdout
    log = done.stdout.partition("layers; see ")[2].split()[0]
    assert "ValueError" in (swept / log).read_text()


@pytest.mark.parametrize("named", ["folder", "journal", "name", "file"])
def test_a_sweep_is_named_by_folder_or_by_file(named: str, swept: Path) -> None:
    there = folder(swept).relative_to(swept)
    words = {
        "folder": [str(there)],
        "journal": [f"{there}/journal.jsonl"],
        "name": [there.name],
        "file": ["--sweep", "config/test.yaml"],
    }
    found = data(swept, "leaderboard", *words[named])
    assert found["best"] == ["4"]
    assert [trial["trial"] for trial in found["trials"]][:2] == ["4", "3"]
    best = found["trials"][0]
    assert best["params"] == {"a": 1, "b": 1}
    assert best["state"] == "completed"
    assert best["value"] == 13
    assert best["begun"] < best["ended"]
    assert best["host"]
    assert (swept / best["folder"] / "output.log").is_file()


def test_csv_has_a_line_for_each_trial(swept: Path) -> None:
    done = hypertrain(swept, "leaderboard", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 6
    assert (rows[0]["trial"], rows[0]["value"], rows[0]["params.a"]) == ("4", "13.0", "1")


def test_list_names_the_sweeps(swept: Path) -> None:
    (only,) = data(swept, "list")
    assert only["name"] == "try"
    assert only["file"] == "config/test.yaml"
    assert (only["trials"], only["best"], only["running"]) == (4, 13, False)
    for width in ("40", "160"):
        done = hypertrain(swept, "list", COLUMNS=width)
        words = done.stdout.split()
        for word in ("try", "config/test.yaml", "score", "13", only["folder"]):
            assert word in words, done.stdout


def test_the_folder_describes_itself(swept: Path) -> None:
    there = folder(swept)
    assert (there / "sweep.yaml").read_bytes() == (swept / "config" / "test.yaml").read_bytes()
    about = json.loads((there / "about.json").read_text())
    assert about["file"] == "config/test.yaml"
    assert list(about["sources"][about["code"]]) == ["modules/program.py"]


def test_what_only_looks_changes_and_trains_nothing(swept: Path) -> None:
    there = folder(swept)
    before = {p: p.read_bytes() for p in there.rglob("*") if p.is_file()}
    for words in (["leaderboard"], ["list"], ["leaderboard", "--json"]):
        assert hypertrain(swept, *words).returncode == 0
    assert {p: p.read_bytes() for p in there.rglob("*") if p.is_file()} == before


def test_report_is_written_anew(swept: Path) -> None:
    path = folder(swept) / "report.html"
    path.unlink()
    done = hypertrain(swept, "report")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Report:", str(path.relative_to(swept))]
    assert "score 13" in path.read_text()


def test_a_running_sweep_is_shown_while_it_runs(swept: Path, tmp_path: Path) -> None:
    root = tmp_path / "p"
    shutil.copytree(swept, root, ignore=shutil.ignore_patterns("wandb"))
    there = folder(root)
    lines = (there / "journal.jsonl").read_text().splitlines()
    begun = [json.loads(line) for line in lines]
    del begun[-1]["state"]
    kept = [json.dumps(line) for line in begun if line["number"] != begun[-1]["number"]]
    # What is being written has no end yet.
    text = "\n".join([*kept, json.dumps(begun[-1])]) + '\n{"number": 7, "para'
    (there / "journal.jsonl").write_text(text)
    states = {"running": [t["state"] for t in data(root, "leaderboard")["trials"]]}
    assert "running" not in states["running"], "killed, it is not running"
    with (there / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = data(root, "leaderboard")
        assert found["running"]
        assert [trial["state"] for trial in found["trials"]].count("running") == 1
        assert "The sweep is running." in hypertrain(root, "leaderboard").stdout
        assert data(root, "list")[0]["running"]
    assert (there / "journal.jsonl").read_text() == text


OLD = """{"point": [0], "number": 1, "params": {"a": 0}, "attempt": 1}
{"point": [0], "number": 1, "params": {"a": 0}, "attempt": 1, "state": "completed", "value": 1.5}
"""


@pytest.mark.parametrize(
    ("journal", "said"),
    [
        ("", "No trial has ended yet."),
        (OLD, "completed"),
        (OLD + "no JSON\n", "journal.jsonl: line 3 is damaged and left out"),
        ('{"number": "x"}\n\n\0\0\n', "lines 1, 2, 3 are damaged"),
    ],
)
def test_a_folder_that_says_little_is_shown_as_far_as_it_goes(
    journal: str, said: str, bake: Bake
) -> None:
    root = bake(project_name="Little")
    there = root / "results" / "sweep-12345678"
    there.mkdir(parents=True)
    (there / "journal.jsonl").write_text(journal)
    for words in (["leaderboard"], ["list"], ["report"], ["leaderboard", "--csv"]):
        done = hypertrain(root, *words)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert said in hypertrain(root, "leaderboard").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["leaderboard"], "results: holds no sweep yet"),
        (["report", "nothing"], "nothing: does not exist"),
        (["leaderboard", "config"], "config: is no results folder"),
        (["leaderboard", "--sweep", "config/wandb-sweep.yaml"], "has not been run yet"),
        (["leaderboard", "--sweep", "none.yaml"], "none.yaml: no such file"),
    ],
)
def test_what_cannot_be_shown_is_one_line(words: list[str], said: str, bake: Bake) -> None:
    done = hypertrain(bake(project_name="Nothing"), *words)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line


@pytest.mark.doors
def test_optuna_dashboard_opens_the_export(swept: Path, tmp_path: Path) -> None:
    file = tmp_path / "study.log"
    done = hypertrain(swept, "export", "--optuna", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    again = hypertrain(swept, "export", "--optuna", str(file))
    assert again.returncode == 2
    assert "is there already" in again.stderr
    home = environment("optuna-dashboard", "optuna-dashboard==0.21.0", "optuna==5.0.0")
    asks = """
import json, sys
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna_dashboard import wsgi
from optuna_dashboard._app import create_app
from optuna_dashboard._storage_url import get_storage
app = wsgi(get_storage(sys.argv[1]))
def get(path):
    said = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "x", "SERVER_PORT": "1",
               "wsgi.input": __import__("io").BytesIO(), "wsgi.errors": sys.stderr,
               "wsgi.url_scheme": "http", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1"}
    body = b"".join(app(environ, lambda status, headers, *rest: said.append(status)))
    assert said[0].startswith("200"), (said, body)
    return json.loads(body)
(study,) = get("/api/studies")["study_summaries"]
print(json.dumps(get(f"/api/studies/{study['study_id']}")))
"""
    opened = subprocess.run(
        [commands(home) / "python", "-c", asks, file], capture_output=True, text=True, timeout=120
    )
    assert opened.returncode == 0, opened.stderr
    study = json.loads(opened.stdout)
    states = [trial["state"] for trial in study["trials"]]
    assert (states.count("Complete"), states.count("Fail")) == (4, 2)
    assert study["directions"] == ["maximize"]
    best = max(t["values"][0] for t in study["trials"] if t["state"] == "Complete")
    assert float(best) == 13
