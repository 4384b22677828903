"""`python -m hypertrain check`: what can be known before a sweep on the platform is paid for.

Every check only looks, and says one line. What cannot be looked at here (no client, no login) is
said and is no failure.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from hypertrain import UserError
from hypertrain.check.platform import check_flows, check_key_file, check_platform
from hypertrain.check.probe import Finding
from hypertrain.check.program import check_metric, check_options
from hypertrain.search.search import new_search
from hypertrain.show.words import counted
from hypertrain.sweepfile.sweep import Sweep, load
from hypertrain.trial.command import command_line

STYLES = {"ok": "green", "problem": "bold red", "unknown": "yellow"}


def check(sweep_file: Path, root: Path, console: Console) -> int:
    """Print each finding as it comes; return the exit status, 1 if there is a problem."""
    counts: Counter[str] = Counter()
    with console.status("one short trial is among the checks; Ctrl-C skips it"):
        for finding in _findings(sweep_file, root):
            status = (f"{finding.status:8} ", STYLES[finding.status])
            console.print(Text.assemble(status, finding.text), soft_wrap=True)
            counts[finding.status] += 1
    total = ", ".join(f"{counts[status]} {status}" for status in STYLES)
    console.print(f"\n{total}", highlight=False)
    return 1 if counts["problem"] else 0


def _findings(sweep_file: Path, root: Path) -> Iterator[Finding]:
    try:
        sweep = load(sweep_file, root)
    except UserError as error:
        yield Finding("problem", str(error))
    else:
        yield (finding := check_sweep(sweep))
        if finding.status != "problem":
            yield (finding := check_options(sweep, root))
        if finding.status != "problem":
            yield check_metric(sweep, root)
    yield check_flows(root)
    yield from check_platform(root)
    yield check_key_file()


def check_sweep(sweep: Sweep) -> Finding:
    """What this machine takes, but W&B refuses, reads differently or never finishes."""
    for name, config in sweep.raw["parameters"].items():
        bounds = {type(config[key]) for key in ("min", "max") if key in config}
        if "distribution" not in config and bounds == {int, float}:
            return _wrong(
                sweep,
                f"parameters.{name}: W&B refuses a whole bound beside one that is not; "
                "give both a decimal point",
            )
    if not _is_finite(sweep.raw):
        return _wrong(sweep, "W&B keeps JSON, which has no .nan and no .inf; leave them out")
    if sweep.method != "grid" and sweep.run_cap is None:
        return _wrong(
            sweep,
            f"run_cap: method {sweep.method} never ends by itself; add `run_cap: 30` to the file",
        )
    try:
        command_line(sweep, {}, Path())
    except UserError as error:
        return Finding("problem", str(error))
    sizes = [n for n in (sweep.run_cap, _grid_size(sweep)) if n is not None]
    trials = counted(min(sizes), "trial")
    return Finding("ok", f"{sweep.path}: valid, {sweep.method} search, {trials}")


def _wrong(sweep: Sweep, text: str) -> Finding:
    return Finding("problem", f"{sweep.path}: {text}")


def _is_finite(raw: Mapping[str, Any]) -> bool:
    try:
        json.dumps(raw, allow_nan=False)
    except ValueError:
        return False
    return True


def _grid_size(sweep: Sweep) -> int | None:
    return new_search(sweep).size if sweep.method == "grid" else None
