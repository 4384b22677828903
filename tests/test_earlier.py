"""Nothing is trained twice: what another sweep has trained is taken over, and nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Bake
from hypertrain.results.earlier import misspelt
from hypertrain.results.sources import fingerprint, sources

PROGRAM = """
import argparse, wandb
from model import factor
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
parser.add_argument("--b", type=int, default=0)
args = parser.parse_args()
run = wandb.init(config=vars(args))
with open("notes.txt", "a") as file:
    file.write(f"{args.a},{args.b}\\n")
for step in range(3):
    run.log({"score": factor * args.a + args.b + step, "loss": 10 - args.a - step})
"""


@pytest.fixture
def root(bake: Bake) -> Path:
    project = bake(project_name="Twice")
    (project / "modules" / "program.py").write_text(PROGRAM)
    (project / "modules" / "model.py").write_text("factor = 10\n")
    return project


def write(root: Path, file: str = "test.yaml", **changed: Any) -> list[str]:
    sweep = {
        "program": "modules/program.py",
        "method": "grid",
        "metric": {"name": "score", "goal": "maximize"},
        "parameters": {"a": {"values": [0, 1]}, "b": {"values": [0, 1]}},
        **changed,
    }
    (root / "config" / file).write_text(yaml.safe_dump(sweep))
    return ["--sweep", f"config/{file}"]


def run(root: Path, *arguments: str) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    done = subprocess.run(
        [sys.executable, "-m", "hypertrain", *arguments, "--workers", "2"],
        cwd=root,
        env={**kept, "HOME": "/nonexistent", "WANDB_MODE": "offline"},
        capture_output=True,
        text=True,
        timeout=150,
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done.stdout + done.stderr


def trained(root: Path) -> Counter[str]:
    return Counter((root / "notes.txt").read_text().split())


def best(root: Path, *words: str) -> Any:
    told = subprocess.run(
        [sys.executable, "-m", "hypertrain", "leaderboard", *words, "--json"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return json.loads(told.stdout)["trials"][0]


GRIDS: dict[str, tuple[dict[str, Any], int, float]] = {
    "grown": ({"parameters": {"a": {"values": [0, 1, 2]}, "b": {"values": [0, 1]}}}, 6, 23),
    "cut": ({"parameters": {"a": {"values": [1]}, "b": {"values": [0, 1]}}}, 4, 13),
    "another metric": ({"metric": {"name": "loss", "goal": "minimize"}}, 4, 7),
    "another method": ({"method": "random", "run_cap": 4}, 4, 13),
    "renamed": ({"name": "another"}, 4, 13),
}


@pytest.mark.parametrize("kind", GRIDS)
def test_equal_trainings_are_taken_over(kind: str, root: Path) -> None:
    run(root, *write(root))
    changed, count, value = GRIDS[kind]
    words = write(root, "other.yaml", **changed)
    said = run(root, *words)
    assert sum(trained(root).values()) == count, "each once"
    assert set(trained(root).values()) == {1}
    if kind != "renamed":  # that is the same sweep
        assert "taken over from earlier sweeps" in said
    first = best(root, *words)
    assert first["value"] == value
    assert (root / first["folder"] / "output.log").is_file()


def test_not_what_other_code_trained(root: Path) -> None:
    run(root, *write(root))
    (root / "modules" / "model.py").write_text("factor = 100\n")
    words = write(root, "other.yaml", parameters={"a": {"values": [1]}, "b": {"values": [1]}})
    assert "taken over" not in run(root, *words)
    assert best(root, *words)["value"] == 103
    # In the sweep itself they stay, and are marked.
    said = run(root, *write(root))
    assert "modules/model.py has changed since" in said
    assert "* trained before modules/model.py changed" in said
    (report,) = [
        p for p in root.glob("results/*/report.html") if "4 trials, marked *" in p.read_text()
    ]
    assert "ran before modules/model.py changed" in report.read_text()


def test_anew_takes_none(root: Path) -> None:
    run(root, *write(root))
    words = write(root, "other.yaml", metric={"name": "loss"})
    assert "taken over" not in run(root, *words, "--anew")
    assert set(trained(root).values()) == {2}


def test_a_misspelt_metric_costs_no_training(root: Path) -> None:
    said = run(root, *write(root, metric={"name": "scores", "goal": "maximize"}))
    assert "metric.name: scores was never logged; did you mean score?" in said
    assert sum(trained(root).values()) <= 3, "the sweep does not go on"
    ended = ran_to_their_end(root)
    said = run(root, *write(root))
    assert "taken over from earlier sweeps" in said
    assert ended
    assert all(trained(root)[point] == 1 for point in ended)
    assert len(trained(root)) == 4


def ran_to_their_end(root: Path) -> set[str]:
    """Points of the only sweep whose trials were not cut off when it was given up."""
    (journal,) = root.glob("results/*/journal.jsonl")
    records = map(json.loads, journal.read_text().splitlines())
    return {f"{one['params']['a']},{one['params']['b']}" for one in records if one.get("exit") == 0}


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("accuracy", "did you mean acc/accuracy or Accuracy_top1?"),
        ("VAL_LOSS", "did you mean val_loss?"),
        ("bleu", None),
        ("val_loss", None),
    ],
)
def test_names_that_are_near(metric: str, said: str | None) -> None:
    told = misspelt(metric, {"val_loss", "acc/accuracy", "Accuracy_top1", "lr"})
    assert (told is None) == (said is None)
    assert (said or "") in (told or "")


# What counts as the program's sources

FILES = {
    "modules/train.py": "import json, torch\nimport model\ndef f():\n    from lib import late\n",
    "modules/model.py": "from lib.deep import thing as other\n",
    "modules/unused.py": "",
    "lib/__init__.py": "",
    "lib/late.py": "from . import near\n",
    "lib/near.py": "",
    "lib/deep/__init__.py": "",
    "lib/deep/thing.py": "from ..near import x\n",
    "lib/other.py": "",
    "run.sh": "#!/bin/sh\npython modules/model.py --x=1\n",
}
EVERYWHERE = ["lib/__init__.py", "lib/deep/__init__.py", "lib/deep/thing.py", "lib/near.py"]


@pytest.mark.parametrize(
    ("program", "words", "expected"),
    [
        (
            "modules/train.py",
            [],
            [*EVERYWHERE, "lib/late.py", "modules/model.py", "modules/train.py"],
        ),
        ("run.sh", [], [*EVERYWHERE, "modules/model.py", "run.sh"]),
        (
            "lib/other.py",
            ["python", "-m", "lib.late"],
            ["lib/late.py", "lib/near.py", "lib/other.py"],
        ),
    ],
)
def test_sources_are_the_users_modules(
    program: str, words: list[str], expected: list[str], tmp_path: Path
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = sources(tmp_path, Path(program), words)
    missing = {"lib/__init__.py"} if words else set()  # imported as lib.late, by its file alone
    assert set(expected) - missing <= set(found) <= set(expected) | {"lib/__init__.py"}
    before = fingerprint(found)
    (tmp_path / "modules" / "unused.py").write_text("changed")
    assert fingerprint(sources(tmp_path, Path(program), words)) == before
    (tmp_path / "lib" / "near.py").write_text("changed = 1")
    assert fingerprint(sources(tmp_path, Path(program), words)) != before


SETTINGS = {
    "train.py": """
import configparser, pathlib, yaml
a = yaml.safe_load(open("a.yaml"))
b = yaml.safe_load(pathlib.Path("b.yml").read_text())
with open("c.ini") as file: c = configparser.ConfigParser().read_file(file)
parser.add_argument("--config", default="d.toml")
configargparse.ArgumentParser(default_config_files=["e.cfg"])
gin.parse_config_file("f.gin"); config_flags.DEFINE_config_file("config", "g.py")
wandb.init(config="h.yaml")
yaml.dump(a, open("w.yaml", "w")); save_config("w.yaml")
pathlib.Path("x.yaml").write_text(b)
yaml.dump(c, pathlib.Path("y.yaml").open(mode="wt"))
Thread(args=["x.yaml"]); upload("w.yaml"); download("y.yaml")
"""
    "print('see z.yaml', yaml.safe_load(open(a['data.yaml'])), open('data.csv'))\n",
    "names.py": """
import json, subprocess, yaml
from pathlib import Path
FOLDER = Path(__file__).parent.parent / "conf"
MODEL = FOLDER / "model" / "small.yaml"
STATE, LEFT = "x.yaml", os.path.join("etc", "left.yaml")
USED = Path("etc") / "used.yaml"
def main(config="e.json", out="w.json", used=USED):
    settings = json.load(open(config)); model = yaml.safe_load(MODEL.read_text())
    json.dump(settings, open(out, "w")); Callback("history.json")
    used.write_text(yaml.dump(model))
    model = OmegaConf.load("a.yaml"); OmegaConf.save(model, "x.yaml"); wandb.save("b.yml")
parser.add_argument("--state-file", default="state.json")
state = json.load(open(args.state_file)); json.dump(state, open(args.state_file, mode="w"))
subprocess.run([sys.executable, "worker.py"])
path = path / "y.yaml"
open(os.path.join(d, "x"), "w")
""",
    "worker.py": "import helper\n",
    "helper.py": "",
    "conf/train.py": "import hydra\n@hydra.main(config_path='.', config_name='h')\ndef f(): pass\n",
}
NAMED = ["a.yaml", "b.yml", "c.ini", "config-defaults.yaml", "d.toml", "data.yaml"]
NAMED += ["e.cfg", "f.gin", "g.py", "h.yaml"]
FIRST, LAST = ["a.yaml", "b.yml", "c.ini"], ["helper.py", "names.py", "worker.py", "y.yaml"]
NOT_READ = ["data.csv", "w.yaml", "x.yaml", "y.yaml", "z.yaml"]


@pytest.mark.parametrize(
    ("program", "words", "expected"),
    [
        ("train.py", [], [*NAMED, "train.py"]),
        ("train.py", ["python", "--config=z.yaml"], [*NAMED, "train.py", "z.yaml"]),
        ("train.py", ["python", "--data", "large.yaml"], [*NAMED, "train.py"]),
        (
            "names.py",
            ["python", "--out=w.json", "--config", "c.ini", "--log", "d.toml", "results.json"],
            [*FIRST, "conf/model/small.yaml", NAMED[3], "e.json", "etc/left.yaml", *LAST],
        ),
        ("conf/train.py", [], ["conf/h.yaml", "conf/model/small.yaml", "conf/train.py", NAMED[3]]),
    ],
)
def test_settings_that_a_program_reads_are_sources(
    program: str, words: list[str], expected: list[str], tmp_path: Path
) -> None:
    others = [*NAMED, *NOT_READ, "conf/h.yaml", "conf/model/small.yaml"]
    others += ["etc/left.yaml", "etc/used.yaml", "e.json", "w.json", "history.json"]
    others += ["state.json", "results.json", "conf/out/1/2/.hydra/config.yaml", "conf/.venv/x.yaml"]
    sweep_file = {"conf/sweep.yaml": "program: x\nmethod: grid\nparameters: {}\n"}
    for name, text in (SETTINGS | dict.fromkeys(others, "a: 1\n") | sweep_file).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "large.yaml").write_bytes(bytes(2**20))
    assert sorted(sources(tmp_path, Path(program), words)) == expected


READS_ITS_SETTINGS = """
import argparse, json, wandb, yaml
parser = argparse.ArgumentParser()
parser.add_argument("--a", type=int)
parser.add_argument("--config")
parser.add_argument("--out")
args = parser.parse_args()
run = wandb.init(config=vars(args))
factor = yaml.safe_load(open(args.config))["factor"]
with open("notes.txt", "a") as file:
    file.write(f"{args.a},{factor}\\n")
run.log({"score": factor * args.a})
json.dump(factor, open(args.out, "w"))
"""


def test_settings_that_a_parameter_names_count_for_its_trials(root: Path) -> None:
    (root / "modules" / "program.py").write_text(READS_ITS_SETTINGS)
    small, large = root / "config" / "small.yaml", root / "config" / "large.yaml"
    small.write_text("factor: none\n")
    large.write_text("factor: 2\n")
    command = ["${env}", "python", "${program}", "--out", "last.json", "${args}"]
    of_a, of_config = {"values": [1, 2]}, {"values": ["config/small.yaml", "config/large.yaml"]}
    told: dict[str, Any] = {"command": command, "parameters": {"a": of_a, "config": of_config}}
    assert run(root, *write(root, **told)).count("failed") >= 2
    small.write_text("factor: 3\n")
    said = run(root, *write(root, **told))
    assert "2 failed trials are tried again: the program has changed" in said
    small.write_text("factor: 4\n")
    said = run(root, *write(root, **told))
    assert "config/small.yaml has changed since" in said
    assert "* trained before config/small.yaml changed" in said
    assert said.count("*  ") == 2, "only those that it was told to"
    before = trained(root)
    of_a["values"] = [1, 2, 3]
    run(root, *write(root, **told))
    assert trained(root) - before == {"1,4": 1, "2,4": 1, "3,4": 1, "3,2": 1}


SLOW = PROGRAM + "import time; time.sleep(3)\n"


def test_a_program_that_is_edited_while_the_sweep_runs(root: Path) -> None:
    """A trial has the code that it begins with, also among those of one session."""
    program = root / "modules" / "program.py"
    program.write_text(SLOW)
    edits = SLOW.replace("factor * args.a", "100 * args.a")
    arguments = write(root, parameters={"a": {"values": [1, 2, 3, 4]}})
    words = [sys.executable, "-m", "hypertrain", *arguments, "--workers", "1"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    with subprocess.Popen(
        words, cwd=root, env={**environ, "WANDB_MODE": "offline"}, stdout=subprocess.PIPE, text=True
    ) as tuner:
        assert tuner.stdout
        said = ""
        for line in tuner.stdout:
            said += line
            if line.startswith("[2/4]"):
                time.sleep(1.5)  # the third has read it
                program.write_text(edits)
    assert "modules/program.py has changed: trials from here on are of the new" in said
    assert "* trained before modules/program.py changed" in said
    (journal,) = root.glob("results/*/journal.jsonl")
    ended = [one for one in map(json.loads, journal.read_text().splitlines()) if "state" in one]
    new = [one for one in ended if one["value"] >= 100]
    old = [one for one in ended if one["value"] < 100]
    assert len(new) in (1, 2)
    assert {one["code"] for one in new}.isdisjoint({one["code"] for one in old[:2]})
    assert "trained before" not in run(root, *arguments).split("Leaderboard")[1].split("\n1 ")[0]


def test_a_trial_does_not_go_on_with_another_program(root: Path) -> None:
    state = """
import pathlib
file = pathlib.Path("results/checkpoints", f"{run.id}.state")
file.parent.mkdir(parents=True, exist_ok=True)
with open("notes.txt", "a") as notes:
    notes.write(f"goes-on-{file.exists()}\\n")
file.touch()
"""
    program = root / "modules" / "program.py"
    program.write_text(PROGRAM + state + "import time; time.sleep(60)\n")
    arguments = write(root, parameters={"a": {"values": [1]}})
    assert "time limit" in run(root, *arguments, "--time-limit", "8s")
    program.write_text(PROGRAM + state)
    run(root, *arguments)
    assert trained(root)["goes-on-True"] == 0
    assert trained(root)["goes-on-False"] == 2


def test_what_a_variable_brings_in_is_neither_shown_nor_taken_over(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["${env}", "python", "${program}", "--token=${envvar:MY_TOKEN}", "${args}"]
    monkeypatch.setenv("MY_TOKEN", "hunter2secret")
    arguments = write(root, command=command, parameters={"a": {"values": [1]}})
    said = run(root, *arguments)
    assert "unrecognized arguments: --token=$MY_TOKEN" in said
    told = "".join(
        path.read_text() for end in ("html", "jsonl") for path in root.glob(f"results/*/*.{end}")
    )
    assert "$MY_TOKEN" in told
    assert "hunter2secret" not in said + told
    program = root / "modules" / "program.py"
    program.write_text(PROGRAM.replace('"--a"', '"--token"); parser.add_argument("--a"'))
    run(root, *arguments)
    again = write(root, "other.yaml", command=command, parameters={"a": {"values": [1, 2]}})
    assert "taken over" not in run(root, *again)
