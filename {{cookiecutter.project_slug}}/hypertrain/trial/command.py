"""The command line of a trial, as `wandb agent` builds it (wandb 0.31, `wandb_agent.py`)."""

import json
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypertrain.sweepfile.command import DEFAULT, ENVVAR, hands_over, is_macro
from hypertrain.sweepfile.hints import typed
from hypertrain.sweepfile.sweep import Sweep

ENV = [] if os.name == "nt" else ["/usr/bin/env"]
INTERPRETER = "python"
CONFIG = "config.yaml"
"""Beside a trial's args.json: where wandb.config finds its parameters."""


def command_line(
    sweep: Sweep,
    params: Mapping[str, Any],
    args_json_file: Path,
    agent: Mapping[str, str] | None = None,
) -> list[str]:
    """Words of the command that runs one trial with `params`; for the trial alone.

    agent: environment of the agent that would run it, where that is not this process's. The words
    may hold secrets, which `${envvar:NAME}` brings in: `repeat` is what can be shown.
    """
    macros = _macros(sweep, params, args_json_file)
    environ = {**os.environ, **(agent or {})}
    words: list[str] = []
    for part in sweep.command or DEFAULT:
        word = ENVVAR.sub(lambda found: environ.get(found[1], found[1]), part)
        words += macros.get(word[2:-1], []) if is_macro(word) else [word]
    return words


def _macros(sweep: Sweep, params: Mapping[str, Any], args_json_file: Path) -> dict[str, list[str]]:
    return {
        "env": ENV,
        "interpreter": [INTERPRETER],
        "program": [sweep.named] if sweep.named else [],
        "args": [f"--{name}={value}" for name, value in params.items()],
        "args_no_equals": [w for name, value in params.items() for w in (f"--{name}", str(value))],
        "args_no_hyphens": [f"{name}={value}" for name, value in params.items()],
        "args_no_boolean_flags": [
            f"--{name}" if value is True else f"--{name}={value}"
            for name, value in params.items()
            if value is not False
        ],
        "args_append_hydra": [f"+{name}={value}" for name, value in params.items()],
        "args_override_hydra": [f"++{name}={value}" for name, value in params.items()],
        "args_json": [json.dumps(params)],
        "args_json_file": [str(args_json_file)],
        "args_dict": list(params),  # of no use, and refused in a file
    }


def repeat(sweep: Sweep, params: Mapping[str, Any], args_json_file: Path) -> str:
    """The line that runs the trial again, ready to paste; it holds no value of `${envvar:NAME}`.

    args_json_file: of the trial, beside its config.yaml; a bare name if the trial ran elsewhere, then
    the line writes the files first.
    """
    parts = sweep.command or DEFAULT
    macros = _macros(sweep, params, args_json_file)
    words: list[str] = []
    for part in parts:
        word = ENVVAR.sub(lambda found: os.environ.get(found[1], found[1]), part)
        if is_macro(word):
            words += map(shlex.quote, macros.get(word[2:-1], []))
        else:
            words.append(_for_shell(part, _agents(sweep)))
    if words[:1] == ENV and not re.match(r"-|'?\w+=", words[1] if words[1:] else "-"):
        del words[0]  # a shell finds the program by itself
    config = args_json_file.with_name(CONFIG)
    files = {}
    if "${args_json_file}" in parts:
        files[args_json_file] = json.dumps(params)
    if not hands_over(parts):
        files[config] = typed({name: {"value": value} for name, value in params.items()})
        where = f"WANDB_SWEEP_ID={sweep.id} WANDB_SWEEP_PARAM_PATH={shlex.quote(str(config))}"
        words.insert(0, f"WANDB_MODE=offline {where}")  # no server is to know this sweep
    elsewhere = args_json_file == Path(args_json_file.name)
    first = [f"printf %s {shlex.quote(text)} > {file}" for file, text in files.items() if elsewhere]
    return " && ".join([*first, " ".join(words)])


def _agents(sweep: Sweep) -> dict[str, str]:
    """What an agent's environment has of its own, for a shell."""
    told = {
        "WANDB_SWEEP_ID": sweep.id,
        "WANDB_PROJECT": sweep.project,
        "WANDB_ENTITY": sweep.entity or "",
    }
    quoted = {name: shlex.quote(value) for name, value in told.items() if value}
    return quoted if "WANDB_DIR" in os.environ else {**quoted, "WANDB_DIR": '"$PWD"'}


def _for_shell(part: str, agents: Mapping[str, str]) -> str:
    """One word for a shell; what comes from the environment is left to it.

    agents: what the agent's has besides, quoted.
    """
    quoted, end = "", 0
    for found in ENVVAR.finditer(part):
        name = found[1]
        before = part[end : found.start()]
        quoted += shlex.quote(before) if before else ""
        variable = f'"${name}"' if name in os.environ else shlex.quote(name)
        quoted += agents.get(name, variable)
        end = found.end()
    rest = part[end:]
    return quoted + (shlex.quote(rest) if rest or not quoted else "")
