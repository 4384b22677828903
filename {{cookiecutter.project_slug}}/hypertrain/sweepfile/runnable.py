"""What this machine can run of what W&B accepts; reading is another question (`sweep`)."""

from collections.abc import Mapping
from typing import Any

from hypertrain.sweepfile import command
from hypertrain.sweepfile.keys import LAUNCH
from hypertrain.sweepfile.notes import Notes


def check(raw: Mapping[str, Any], notes: Notes) -> None:
    """Note what W&B accepts, but nothing here does as W&B would."""
    _launch(raw, notes)
    _search(raw, notes)
    if isinstance(words := raw.get("command"), list) and words:
        command.check(words, notes)
    cap = raw.get("run_cap")
    if isinstance(cap, float) and cap.is_integer():
        notes.problem(("run_cap",), f"{cap} is no whole number to YAML; write {int(cap)}")
    early = raw.get("early_terminate")
    if isinstance(early, dict) and {"min_iter", "max_iter", "s"} <= early.keys():
        text = "W&B leaves min_iter out beside max_iter and s; remove it"
        notes.problem(("early_terminate", "min_iter"), text)


def _launch(raw: Mapping[str, Any], notes: Notes) -> None:
    """W&B Launch starts containers from a queue."""
    found = [key for key in LAUNCH if raw.get(key)]
    if not found:
        return
    scheduler = raw.get("scheduler")
    if scheduler and not (isinstance(scheduler, dict) and "engine" in scheduler):
        found.append("scheduler")
    them, program = "them" if found[1:] else "it", ""
    if not raw.get("program") and not raw.get("command"):
        program = " and name the script to run, as `program: modules/train.py`"
    also = f"(and {', '.join(found[1:])}) " if found[1:] else ""
    notes.problem((found[0],), f"{also}is for W&B Launch, not for agents; remove {them}{program}")


def _search(raw: Mapping[str, Any], notes: Notes) -> None:
    """Searches that only a program of W&B's or the user's drives."""
    controller, scheduler = raw.get("controller"), raw.get("scheduler")
    if isinstance(controller, dict) and controller.get("type") == "local":
        text = "python -m hypertrain searches on this machine by itself; remove controller"
        notes.problem(("controller", "type"), text)
    if "metrics" in raw:
        text = "several objectives need W&B's optuna or ax scheduler; name one, as"
        notes.problem(("metrics",), f"{text} `metric: {{name: loss, goal: minimize}}`")
    engine = scheduler.get("engine") if isinstance(scheduler, dict) else None
    if engine in ("optuna", "ax"):
        text = f"{engine} runs in W&B's sweep-scheduler alone; remove scheduler"
        notes.problem(("scheduler", "engine"), f"{text} and write `method: bayes`")
    elif raw.get("method") == "custom":
        text = "custom is for W&B's optuna or ax scheduler; write bayes, random or grid"
        notes.problem(("method",), text)
    if isinstance(scheduler, dict) and scheduler.get("search_space"):
        text = "a search space in Python is not run here; write it below `parameters:`"
        notes.problem(("scheduler", "search_space"), text)
