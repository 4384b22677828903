"""The keys of a sweep file, and what was meant by one that is none."""

from collections.abc import Iterable, Mapping
from typing import Any

from hypertrain.sweepfile.distributions import ASTRAY, is_parameter
from hypertrain.sweepfile.hints import nearest, typed
from hypertrain.sweepfile.notes import Notes

KEYS = (
    "program",
    "method",
    "metric",
    "parameters",
    "command",
    "early_terminate",
    "run_cap",
    "name",
    "project",
    "entity",
    "description",
    "controller",
    "scheduler",
    "metrics",
    "kind",
    "apiVersion",
    "job",
    "image_uri",
)
METRIC = ("name", "goal", "target", "impute", "impute_while_running")
HYPERBAND = ("type", "min_iter", "max_iter", "s", "eta", "strict")
SCHEDULER = ("engine", "source", "optimizer", "search_space")
LAUNCH = ("job", "image_uri")
MEANT = {
    **dict.fromkeys(("direction", "mode", "objective", "optimize"), "goal"),
    **dict.fromkeys(("metric", "monitor"), "name"),
    **dict.fromkeys(("grace_period", "min_t", "min_resource"), "min_iter"),
    **dict.fromkeys(("max_t", "max_resource"), "max_iter"),
    "reduction_factor": "eta",
}
"""Words of other tools for W&B's below a key."""


def corrected(raw: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """The file with the keys that were meant, so that all of it can be read; each other is noted."""
    meant = dict(raw)
    for key, value in raw.items():
        if key in KEYS:
            continue
        known = [known for known in KEYS if known not in raw and known not in LAUNCH]
        if near := nearest(key, known):
            meant[near] = value
            notes.read_as(key, near)
            colon = "has a colon in its name" if key.endswith(":") else "is not supported"
            notes.problem((key.rstrip(" :"),), f"{colon}; write {near}", notes.lines.get((key,)))
        else:
            notes.problem((key,), _unknown(key, raw))
            meant |= value if _is_sweep(value) else {}
    return meant


def _is_sweep(value: Any) -> bool:
    return isinstance(value, dict) and {"method", "parameters"} <= value.keys()


def _unknown(key: str, raw: Mapping[str, Any]) -> str:
    value = raw[key]
    if key == "count":
        return f"is an option of wandb agent; write `run_cap: {typed(value)}`"
    if key == "interpreter":
        module = ["-m"] if str(raw.get("program")).startswith("-m ") else []
        words = ["${env}", str(value), *module, "${program}", "${args}"]
        return f"is no key of W&B's; remove it and write `command: {typed(words)}`"
    for section, below in {"metric": METRIC, "early_terminate": HYPERBAND}.items():
        if key in below and (section in raw or key == "goal"):
            return f"belongs to {section}; indent it below `{section}:`"
    if not isinstance(value, Mapping):
        word = "values" if isinstance(value, list) else "value"
        constant = f"`{key}: {{{word}: {typed(value)}}}` below `parameters:`"
        return f"is not supported; remove it, or write {constant} if it is a parameter"
    if _is_sweep(value):
        return "holds the keys of the sweep; remove this line and indent them less"
    if is_parameter(value):
        anchors = f"or write x-{key} if it only holds anchors"
        return f"{ASTRAY}, {anchors}"
    return f"is not supported; remove it, or write x-{key} if it only holds anchors"


def corrected_section(
    value: Mapping[str, Any], allowed: Iterable[str], section: str, notes: Notes
) -> dict[str, Any]:
    """The same for the keys below a key."""
    meant = dict(value)
    for key in value:
        if key not in allowed:
            free = [word for word in allowed if word not in value]
            near = MEANT.get(key.lower()) or nearest(key, free)
            near = near if near in free else None
            if near:
                remedy = f"write {near}"
            elif key in KEYS:
                remedy = f"indent it less, as `{section}:` is"
            else:
                remedy = f"remove it (supported: {', '.join(allowed)})"
            notes.problem((section, key), f"is not supported; {remedy}")
            meant[near or key] = value[key]
    return meant
