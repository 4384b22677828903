"""The command line of a trial, as `wandb agent` builds it (wandb 0.31, `wandb_agent.py`)."""

import json
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypertrain import UserError
from hypertrain.sweepfile.sweep import Sweep

DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")
ENVVAR = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")
ENV = [] if os.name == "nt" else ["/usr/bin/env"]
INTERPRETER = "python"


def command_line(sweep: Sweep, params: Mapping[str, Any], args_json_file: Path) -> list[str]:
    """Words of the command that runs one trial with `params`.

    Raises: UserError for a macro that the agent does not know.
    """
    macros = {
        "env": ENV,
        "interpreter": [INTERPRETER],
        "program": [sweep.program.as_posix()],
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
    }
    words: list[str] = []
    for part in map(str, sweep.command or DEFAULT):
        part = ENVVAR.sub(lambda found: os.environ.get(found[1], found[1]), part)
        if part.startswith("${") and part.endswith("}"):
            if part[2:-1] not in macros:
                known = ", ".join(f"${{{name}}}" for name in macros)
                raise UserError(f"{sweep.path}: command: {part} is not a macro; use {known}")
            words += macros[part[2:-1]]
        else:
            words.append(part)
    return words


def repeat(sweep: Sweep, params: Mapping[str, Any], args_json_file: Path) -> str:
    """The command that runs the trial again, ready to paste."""
    words = command_line(sweep, params, args_json_file)
    program = python_program(words, sweep)
    return shlex.join(["python", *program] if program else words)


def python_program(words: list[str], sweep: Sweep) -> list[str] | None:
    """`program arg ...` if the command does nothing but run the program with Python, else None."""
    start = [*ENV, INTERPRETER, sweep.program.as_posix()]
    if words[: len(ENV)] != ENV:
        start = start[len(ENV) :]
    return words[len(start) - 1 :] if words[: len(start)] == start else None
