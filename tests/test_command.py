"""The command line of a trial is the one that `wandb agent` builds; the agent itself is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypertrain import UserError
from hypertrain.search.search import new_search, params_at
from hypertrain.sweepfile.sweep import from_mapping
from hypertrain.trial.command import command_line, repeat
from hypertrain.trial.run import Run, agents_environment, environment
from sweep_files import of_agent, sweep

PARAMETERS = {
    "lr": {"value": 1e-05},
    "epochs": {"value": 3.0},
    "amp": {"value": True},
    "resume": {"value": False},
    "limit": {"value": None},
    "name": {"value": "a 'b' \"c\" $HOME ü"},
    "widths": {"value": [1, 2.0, "x", None]},
    "extra": {"value": {"a": 1.0, "b": [True]}},
    "model": {
        "parameters": {"depth": {"value": 2.0}, "head": {"parameters": {"p": {"value": 0.5}}}}
    },
}
COMMANDS: list[list[Any] | None] = [
    None,
    ["${env}", "${interpreter}", "${program}", "${args}"],
    ["python", "${program}", "${args_no_hyphens}"],
    ["python", "-u", "${program}", "${args_no_equals}"],
    ["${interpreter}", "${program}", "${args_no_boolean_flags}"],
    ["${interpreter}", "${program}", "${args_append_hydra}", "--multirun"],
    ["${interpreter}", "${program}", "${args_override_hydra}"],
    ["${interpreter}", "${program}", "${args_json}"],
    ["${interpreter}", "${program}", "--config", "${args_json_file}"],
    ["${interpreter}", "${program}", "--data=${envvar:DATA}/raw:${envvar:DATA}", "${args}"],
    ["${interpreter}", "${program}", "${envvar:NOT_SET}", "${envvar:MACRO}"],
    ["nice", "-n", 10, "torchrun", "--nproc-per-node=2", 0.5, "${program}", "${args}"],
    ["echo", "$HOME", "{args}", "x${args}", "${args}"],
    ["python", "${program}"],
    [],
]
HELD_BY_WANDB: list[list[Any]] = [
    ["python", "${program}", True, None, ["a", 1], {"b": 2}, "${args}"],
    ["python", "${program}", "${arg}", "${args_dict}", "${program} ${args}", "${}", "${args}"],
]
"""Refused in a file; W&B takes the words as text, and leaves macros out that it does not know."""


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder and environment of an agent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA", "/data and more")
    monkeypatch.setenv("MACRO", "${args}")
    monkeypatch.delenv("NOT_SET", raising=False)
    return tmp_path


@pytest.mark.parametrize("command", HELD_BY_WANDB, ids=str)
def test_words_of_a_sweep_that_wandb_holds(command: list[Any], agent: Path) -> None:
    raw = {"program": "train.py", "command": command, "parameters": {"x": {"value": 1}}}
    one = from_mapping(Path("team/project/sweep"), raw)
    words = command_line(one, {"x": 1}, Path("args.json"))
    assert words == of_agent(command, {"x": 1}, Path("args.json"))
    with pytest.raises(UserError, match=r"command: .*(is not|is no) "):
        sweep(agent, command=command)


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_words_are_the_agents(command: list[Any] | None, agent: Path) -> None:
    given = {} if command is None else {"command": command}
    one = sweep(agent, parameters=PARAMETERS, **given)
    point = new_search(one).ask(1)
    assert point is not None
    params = params_at(one.space, point)
    words = command_line(one, params, Path("args.json"))
    assert words == of_agent(command, params, Path("args.json"))
    assert all(isinstance(word, str) for word in words)


def test_the_agents_own_variables(agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`wandb agent` sets them before it reads the command; the run's id it sets later."""
    for name in ("WANDB_DIR", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_SWEEP_ID", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    names = ("WANDB_DIR", "WANDB_PROJECT", "WANDB_SWEEP_ID", "WANDB_RUN_ID")
    words = ["python", "${program}", *(f"--x=${{envvar:{name}}}" for name in names), "${args}"]
    one = sweep(agent, command=words, project="mine", parameters={"x": {"value": 1}})
    run = Run("trial-1", "a-sweep", "mine", agent / "1", agent)
    given = command_line(one, {}, Path("args.json"), agents_environment(run))
    assert given[2:] == [f"--x={agent}", "--x=mine", "--x=a-sweep", "--x=WANDB_RUN_ID"]
    line = repeat(one, {}, Path("args.json"))
    assert line == f'python train.py --x="$PWD" --x=mine --x={one.id} --x=WANDB_RUN_ID'


def test_the_guides_trial(tmp_path: Path) -> None:
    parameters = {"lr": {"values": [0.1]}, "optimizer": {"value": "sgd"}}
    one = sweep(tmp_path, parameters=parameters)
    words = command_line(one, {"lr": 0.1, "optimizer": "sgd"}, Path())
    assert words == ["/usr/bin/env", "python", "train.py", "--lr=0.1", "--optimizer=sgd"]


@pytest.mark.parametrize(
    ("part", "remedy"),
    [
        ("${arg}", "write ${args}"),
        ("${args_dict}", "write ${args}"),
        ("${interpereter}", "write ${interpreter}"),
        ("${program} ${args}", "write ['${program}', '${args}'], each a word of its own"),
        ("${envvar:lower}", "write ${envvar:LOWER}, in capitals"),
        ("${}", "use ${env}, ${interpreter}, ${program}, ${args}, ${args_no_equals}"),
    ],
)
def test_a_macro_that_the_agent_would_drop_is_refused(
    part: str, remedy: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as refused:
        sweep(tmp_path, command=["python", "${program}", part, "${args}"])
    path = tmp_path / "sweep.yaml"
    line = f"{path}: line 9: command: {part} is not a macro; {remedy}"
    assert str(refused.value).startswith(line)


# ---- the line that runs a trial again

TELLS = """
import json, os, sys
config = os.environ.get("WANDB_SWEEP_PARAM_PATH")
told = sys.argv[1:]
print(json.dumps([arg if not arg.endswith("args.json") else open(arg).read() for arg in told]))
if config:
    import wandb
    run = wandb.init()
    print(json.dumps(dict(wandb.config)), bool(run.sweep_id))
"""


def run_line(line: str, folder: Path, **environ: str) -> list[str]:
    """What the program prints when a shell runs the line."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env={**inherited, "PATH": path, "WANDB_SILENT": "true", **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


REPEATED: list[list[Any] | None] = [
    None,
    ["${env}", "A=1 2", "python", "-u", "${program}", "${args_no_equals}"],
    ["${env}", "-u", "A", "python", "${program}", "${args_json}"],
    ["python", "${program}", "a 'b' $HOME", "${args_json_file}"],
    ["python", "${program}", "--data=${envvar:DATA}/raw x", "${envvar:NOT_SET}", "${args}"],
    ["python", "${program}", "${envvar:MACRO}", "*"],
    ["python", "${program}", "--quick"],
]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "on another machine"])
@pytest.mark.parametrize("command", REPEATED, ids=str)
def test_the_line_repeats_the_trial(
    command: list[Any] | None, elsewhere: bool, agent: Path
) -> None:
    one = sweep(agent, parameters=PARAMETERS, **({"command": command} if command else {}))
    (agent / "train.py").write_text(TELLS)
    params = params_at(one.space, new_search(one).ask(1) or [])
    folder = Path() if elsewhere else Path("results/a trial")
    (agent / folder).mkdir(parents=True, exist_ok=True)
    if not elsewhere:
        (agent / folder / "args.json").write_text(json.dumps(params))
        config = {name: {"value": value} for name, value in params.items()}
        (agent / folder / "config.yaml").write_text(yaml.safe_dump(config))
    words = command_line(one, params, folder / "args.json")
    started = words[words.index("train.py") + 1 :]
    expected = [word if not word.endswith("args.json") else json.dumps(params) for word in started]
    arguments, *config_seen = run_line(repeat(one, params, folder / "args.json"), agent)
    assert json.loads(arguments) == expected
    if command and "--quick" in command:
        assert config_seen == [json.dumps(params) + " True"]


def test_the_line_shows_no_secret(agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "s3cret'value")
    one = sweep(agent, command=["python", "${program}", "--key=${envvar:API_KEY}", "${args}"])
    line = repeat(one, {"x": 1}, Path("results/args.json"))
    assert line == 'python train.py --key="$API_KEY" --x=1'
    assert "--key=s3cret'value" in command_line(one, {"x": 1}, Path())


def test_the_plain_line_is_short(tmp_path: Path) -> None:
    one = sweep(tmp_path, parameters={"lr": {"value": 0.1}})
    assert repeat(one, {"lr": 0.1}, Path("results/args.json")) == "python train.py --lr=0.1"


def test_a_run_belongs_to_the_entity_of_its_sweep(tmp_path: Path) -> None:
    run = Run("run", "sweep", "project", tmp_path, tmp_path, entity="team")
    assert environment(run, tmp_path)["WANDB_ENTITY"] == "team"
