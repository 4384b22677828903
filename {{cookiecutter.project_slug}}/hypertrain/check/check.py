"""`python -m hypertrain check`: what can be known before a sweep on the platform is paid for.

Every check only looks, and says one line. What cannot be looked at here (no client, no login) is
said and is no failure.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from hypertrain import UserError
from hypertrain.check.platform import check_flows, check_key_file, check_params, check_platform
from hypertrain.check.probe import Finding, copy_of
from hypertrain.check.program import check_metric, check_options
from hypertrain.search.search import new_search
from hypertrain.show.words import counted
from hypertrain.sweepfile.command import DEFAULT, hands_over
from hypertrain.sweepfile.program import scripts
from hypertrain.sweepfile.sweep import Sweep, load

STYLES = {"ok": "green", "problem": "bold red", "unknown": "yellow", "warning": "yellow"}
READS = re.compile(r"\.config\b|\bimport config\b|WANDB_SWEEP_PARAM_PATH")
"""How a program asks for its parameters, if not on its command line."""


def check(sweep_file: Path, root: Path, params: Mapping[str, str], console: Console) -> int:
    """Print each finding as it comes; return the exit status, 1 if there is a problem.

    params: those of the bake, where they differ from what the flow says.
    """
    counts: Counter[str] = Counter()
    with console.status("one short trial is among the checks; Ctrl-C skips it"):
        for finding in _findings(sweep_file, root, params):
            status = (f"{finding.status:8} ", STYLES[finding.status])
            console.print(Text.assemble(status, finding.text), soft_wrap=True)
            counts[finding.status] += 1
    counted_always = [status for status in STYLES if counts[status] or status != "warning"]
    total = ", ".join(f"{counts[status]} {status}" for status in counted_always)
    console.print(f"\n{total}", highlight=False)
    return 1 if counts["problem"] else 0


def _findings(sweep_file: Path, root: Path, params: Mapping[str, str]) -> Iterator[Finding]:
    try:
        sweep = load(sweep_file, root)
    except UserError as error:
        yield from (Finding("problem", line) for line in str(error).splitlines())
    else:
        yield from (found := check_sweep(sweep, root))
        if all(finding.status != "problem" for finding in found):
            yield from _try_program(sweep, root)
    yield check_flows(root)
    yield from check_params(root, params)
    yield from check_platform(root, params)
    yield check_key_file()


def _try_program(sweep: Sweep, root: Path) -> Iterator[Finding]:
    with copy_of(root) as here:
        if here is None:
            yield Finding("unknown", "program: the project is too large to be tried in a copy")
            return
        yield (finding := check_options(sweep, root, here))
        if finding.status != "problem":
            yield check_metric(sweep, root, here)


def check_sweep(sweep: Sweep, root: Path) -> list[Finding]:
    """What this machine takes, but W&B refuses, reads differently or never finishes."""
    wrong = [f"{sweep.path}: {text}" for text in _wrong(sweep, root)]
    found = [Finding("problem", text) for text in wrong]
    if not found:
        sizes = [n for n in (sweep.run_cap, _grid_size(sweep)) if n is not None]
        trials = counted(min(sizes), "trial")
        found = [Finding("ok", f"{sweep.path}: valid, {sweep.method} search, {trials}")]
    return [*found, *(Finding("warning", text) for text in sweep.warnings)]


def _wrong(sweep: Sweep, root: Path) -> Iterator[str]:
    for name, config in sweep.raw["parameters"].items():
        bounds = {type(config[key]) for key in ("min", "max") if key in config}
        if "distribution" not in config and bounds == {int, float}:
            yield (
                f"parameters.{name}: W&B refuses a whole bound beside one that is not; "
                "give both a decimal point"
            )
    if not _is_finite(sweep.raw):
        yield "W&B keeps JSON, which has no .nan and no .inf; leave them out"
    if sweep.method != "grid" and sweep.run_cap is None:
        yield f"run_cap: method {sweep.method} never ends by itself; add `run_cap: 30` to the file"
    if not hands_over(sweep.command or DEFAULT) and not _reads_config(sweep, root):
        yield (
            f"command: tells {sweep.program} no parameters, and it does not read wandb.config: all "
            'trials would be alike; add "${args}" to command'
        )


def _reads_config(sweep: Sweep, root: Path) -> bool:
    """Whether the project's own code asks W&B for parameters; another's code may well do so."""
    if not (root / sweep.program).is_file():
        return True
    files = (root / sweep.program, *scripts(root))
    return any(READS.search(file.read_text("utf-8", "replace")) for file in files)


def _is_finite(raw: Mapping[str, Any]) -> bool:
    try:
        json.dumps(raw, allow_nan=False)
    except ValueError:
        return False
    return True


def _grid_size(sweep: Sweep) -> int | None:
    return new_search(sweep).size if sweep.method == "grid" else None
