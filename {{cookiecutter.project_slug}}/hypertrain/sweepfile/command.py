"""The words of `command`, as `wandb agent` reads them (wandb 0.31, `wandb_agent.py`)."""

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from hypertrain.sweepfile.hints import nearest, shown, typed
from hypertrain.sweepfile.notes import Notes

DEFAULT = ("${env}", "${interpreter}", "${program}", "${args}")
ARGS = (
    "args",
    "args_no_equals",
    "args_no_hyphens",
    "args_no_boolean_flags",
    "args_append_hydra",
    "args_override_hydra",
    "args_json",
    "args_json_file",
)
"""Macros that hand the program its parameters."""
MACROS = ("env", "interpreter", "program", *ARGS)
SHORT = 8
"""Letters at least of a secret."""
BLANKS = re.compile(r"\$\{ *([^}]*?) *\}")
ENVVAR = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")


def secrets(words: Iterable[str] | None) -> tuple[str, ...]:
    """Names of the variables that the words bring in: their values may be secrets."""
    return tuple(sorted({name for word in words or () for name in ENVVAR.findall(word)}))


def without(secrets: Iterable[str], text: str) -> str:
    """The text with the names of these variables for their values; short ones are no secrets."""
    for name in secrets:
        value = os.environ.get(name, "")
        text = text.replace(value, f"${name}") if len(value) >= SHORT else text
    return text


def is_macro(word: str) -> bool:
    return word.startswith("${") and word.endswith("}")


def hands_over(words: Iterable[str]) -> bool:
    """Whether the program is told its parameters on the command line."""
    return not {f"${{{macro}}}" for macro in ARGS}.isdisjoint(words)


def read(value: Any, notes: Notes) -> tuple[str, ...] | None:
    """The words; None where W&B takes its own command."""
    if value is None or value == []:
        return None
    if isinstance(value, list):
        return tuple(map(str, value))
    meant = _meant(value)
    notes.problem(("command",), f"must be a list; write `command: {typed(meant)}`")
    return tuple(meant)


def _meant(value: Any) -> list[str]:
    """The words of a command in one text; without `${args}` no parameter would arrive."""
    text = BLANKS.sub(r"${\1}", value) if isinstance(value, str) else ""
    listed = re.findall(r"^\s*-\s+(.*?)\s*$", text, re.MULTILINE)
    try:
        words = listed or _bracketed(text) or shlex.split(text)
    except ValueError:  # a quote without its end
        words = text.split()
    if len(words) > 1 and all(word.startswith("-") for word in words):
        words = [word[1:] for word in words]  # dashes of a list, without their blanks
    if any(word.endswith(",") for word in words):
        words = [word.rstrip(",") for word in words]
    if not words:
        return list(DEFAULT)
    return words if hands_over(words) else [*words, "${args}"]


def _bracketed(text: str) -> list[str]:
    """The words of a list that stands in quotes."""
    if not text.strip().startswith("["):
        return []
    quoted = re.sub(r"""(?<!["'])\$\{[^}]*\}(?!["'])""", r'"\g<0>"', text)
    try:
        found = yaml.safe_load(quoted)
    except yaml.YAMLError:
        return []
    return list(map(str, found)) if isinstance(found, list) else []


def check(command: Sequence[Any], notes: Notes) -> None:
    """Note the words that would not arrive as they stand in the file."""
    for i, part in enumerate(command):
        key, spelled = ("command", i), notes.spelled.get(("command", i), typed(part))
        if part is None and not spelled:
            notes.problem(key, "is empty; remove its dash")
        elif isinstance(part, list) and len(command) == 1:
            notes.problem(key, f"is a list in a list; write `command: {typed(part)}`")
        elif isinstance(part, bool) or part is None:
            notes.problem(key, f'{spelled} is no text to YAML; write "{spelled}"')
        elif not isinstance(part, str | int | float):
            notes.problem(key, f"{shown(part)} is not one word; quote it")
        elif is_macro(word := ENVVAR.sub("x", str(part))) and word[2:-1] not in MACROS:
            notes.problem(key, _no_macro(str(part)))
        elif not is_macro(word) and "${" in word:
            notes.warning(key, f"{word} is handed on as it stands: a macro is a word of its own")
        elif "-c" not in command and (found := re.search(r"\$([A-Za-z_]\w*)", word)):
            text = f"{found[0]} is handed on as it stands; what W&B expands is"
            notes.warning(key, f"{text} ${{envvar:{found[1].upper()}}}")
    if not hands_over(str(part) for part in command):
        told = "the program is told its parameters by wandb.config alone"
        notes.warning(("command",), f"holds no ${{args}}: {told}")


def _no_macro(word: str) -> str:
    """W&B leaves such a word out."""
    if (plain := BLANKS.sub(r"${\1}", word)) != word:
        return f"{word} is not a macro; write {plain}"
    if parts := word.split() if len(word.split()) > 1 else []:
        return f"{word} is not a macro; write {typed(parts)}, each a word of its own"
    if found := re.fullmatch(r"\$\{(?:env|envvar|ENV)[:.](\w+)\}", word):
        return f"{word} is not a macro; write ${{envvar:{found[1].upper()}}}, in capitals"
    near = nearest(word[2:-1], MACROS)
    known = ", ".join(f"${{{macro}}}" for macro in MACROS)
    return f"{word} is not a macro; " + (f"write ${{{near}}}" if near else f"use {known}")
