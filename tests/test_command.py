"""The command line of a trial is the one that `wandb agent` builds; the agent itself is asked."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypertrain import UserError
from hypertrain.search.search import new_search, params_at
from hypertrain.trial.command import command_line, python_program
from sweep_files import sweep
from wandb import wandb_agent

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
    ["nice", "-n", 10, "torchrun", "--nproc-per-node=2", 0.5, True, "${program}", "${args}"],
    ["echo", "$HOME", "{args}", "x${args}", "${args}"],
]


def of_agent(command: list[Any] | None, params: dict[str, Any], args_json_file: Path) -> list[str]:
    """Words that the installed wandb's agent starts, when the server sends these parameters."""
    started: list[list[str]] = []

    def start(command: list[str], **_: Any) -> SimpleNamespace:
        started.append(command)
        return SimpleNamespace()

    agent = wandb_agent.Agent(api=None, queue=None)
    agent._sweep_command = list(command or [])
    sent = json.loads(json.dumps({name: {"value": value} for name, value in params.items()}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wandb_agent, "AgentProcess", start)
        patch.setenv("WANDB_SWEEP_ID", "sweep")
        # The agent writes its parameter files there, creating no folder.
        Path("wandb/sweep-sweep").mkdir(parents=True, exist_ok=True)
        run = {"run_id": "run", "program": "train.py", "args": sent}
        agent._command_run(run)  # type: ignore[no-untyped-call]
    written = "wandb/sweep-sweep/config-run.json"
    return [str(args_json_file) if word.endswith(written) else word for word in started[0]]


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_words_are_the_agents(
    command: list[Any] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_DIR", "")
    monkeypatch.setenv("WANDB_RUN_ID", "")
    monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", "")
    monkeypatch.setenv("DATA", "/data and more")
    monkeypatch.setenv("MACRO", "${args}")
    monkeypatch.delenv("NOT_SET", raising=False)
    one = sweep(tmp_path, parameters=PARAMETERS, **({"command": command} if command else {}))
    point = new_search(one).ask(1)
    assert point is not None
    params = params_at(one.space, point)
    words = command_line(one, params, Path("args.json"))
    assert words == of_agent(command, params, Path("args.json"))
    assert all(isinstance(word, str) for word in words)


def test_the_guides_trial(tmp_path: Path) -> None:
    parameters = {"lr": {"values": [0.1]}, "optimizer": {"value": "sgd"}}
    one = sweep(tmp_path, parameters=parameters)
    words = command_line(one, {"lr": 0.1, "optimizer": "sgd"}, Path())
    assert words == ["/usr/bin/env", "python", "train.py", "--lr=0.1", "--optimizer=sgd"]


@pytest.mark.parametrize(
    "part", ["${arg}", "${args_dict}", "${program} ${args}", "${envvar:lower}", "${}"]
)
def test_a_macro_that_the_agent_would_drop_is_refused(part: str, tmp_path: Path) -> None:
    one = sweep(tmp_path, command=["python", "${program}", part])
    with pytest.raises(UserError) as refused:
        command_line(one, {}, Path())
    assert str(refused.value).startswith(
        f"{one.path}: command: {part} is not a macro; use ${{env}}"
    )


@pytest.mark.parametrize(
    ("command", "program"),
    [
        (None, ["train.py", "--x=1"]),
        (["python", "${program}", "--fast", "${args}"], ["train.py", "--fast", "--x=1"]),
        (["${env}", "python", "${program}"], ["train.py"]),
        (["python", "-u", "${program}", "${args}"], None),
        (["torchrun", "${program}", "${args}"], None),
        (["${env}", "A=1", "python", "${program}"], None),
        (["python", "other.py", "${program}"], None),
        (["python"], None),
    ],
)
def test_a_plain_python_program_is_recognised(
    command: list[str] | None, program: list[str] | None, tmp_path: Path
) -> None:
    one = sweep(tmp_path, **({"command": command} if command else {}))
    assert python_program(command_line(one, {"x": 1}, Path()), one) == program
