"""`python -m hypertrain check`: what can be known before a sweep on the platform is paid for.

Every check only looks, and says one line. What cannot be looked at here (no client, no login) is
said and is no failure.
"""

import json
import re
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from hypertrain import UserError
from hypertrain.check.cost import Estimate, costs, estimate
from hypertrain.check.platform import (
    bake_params,
    check_flows,
    check_key_file,
    check_params,
    check_platform,
)
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


@dataclass(frozen=True)
class Wanted:
    """params: of the bake, where they differ from what the flow says. workers: here.

    trial_time: seconds at most for the trials by which the sweep's cost is judged.
    """

    params: Mapping[str, str]
    workers: int
    trial_time: float


def check(sweep_file: Path, root: Path, asked: Wanted, console: Console) -> int:
    """Print each finding as it comes; return the exit status, 1 if there is a problem."""
    counts: Counter[str] = Counter()
    with console.status("trials are among the checks; Ctrl-C skips one"):
        for finding in _findings(sweep_file, root, asked):
            status = (f"{finding.status:8} ", STYLES[finding.status])
            console.print(Text.assemble(status, finding.text), soft_wrap=True)
            counts[finding.status] += 1
    counted_always = [status for status in STYLES if counts[status] or status != "warning"]
    total = ", ".join(f"{counts[status]} {status}" for status in counted_always)
    console.print(f"\n{total}", highlight=False)
    return 1 if counts["problem"] else 0


def _findings(sweep_file: Path, root: Path, asked: Wanted) -> Iterator[Finding]:
    measured: list[Estimate | None] = []
    try:
        sweep = load(sweep_file, root)
    except UserError as error:
        yield from (Finding("problem", line) for line in str(error).splitlines())
    else:
        yield from (found := check_sweep(sweep, root))
        if all(finding.status != "problem" for finding in found):
            measured = yield from _try_program(sweep, root, asked)
    yield check_flows(root)
    yield from check_params(root, asked.params)
    preset = yield from check_platform(root, asked.params)
    yield check_key_file()
    wanted = bake_params(root, asked.params).get("workers", "")
    for cost in measured:
        on_platform = preset if wanted.isdigit() and int(wanted) else None
        yield from costs(cost, asked.workers, on_platform, int(wanted) if on_platform else 0)


def _try_program(
    sweep: Sweep, root: Path, asked: Wanted
) -> Generator[Finding, None, list[Estimate | None]]:
    """Returns: the estimate of what the sweep takes; none if it was not asked for."""
    with copy_of(root) as here:
        if here is None:
            yield Finding("unknown", "program: the project is too large to be tried in a copy")
            return []
        yield (finding := check_options(sweep, root, here))
        if finding.status != "problem":
            yield (finding := check_metric(sweep, root, here))
        if finding.status != "ok":
            return []
        try:
            workers = min(asked.workers, trials := _size(sweep) or 1)
            return [estimate(sweep, here, trials, workers, asked.trial_time)]
        except KeyboardInterrupt:
            return []


def check_sweep(sweep: Sweep, root: Path) -> list[Finding]:
    """What this machine takes, but W&B refuses, reads differently or never finishes."""
    wrong = [f"{sweep.path}: {text}" for text in _wrong(sweep, root)]
    found = [Finding("problem", text) for text in wrong]
    if not found:
        trials = counted(_size(sweep) or 0, "trial")
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
    if sweep.method == "bayes":
        yield from _no_bayes(sweep)
    if not _is_finite(sweep.raw):
        yield "W&B keeps JSON, which has no .nan and no .inf; leave them out"
    if sweep.method != "grid" and sweep.run_cap is None:
        never = f"method {sweep.method} never ends by itself on W&B"
        yield f"run_cap: {never}; add `run_cap: 30` to the file"
    if not hands_over(sweep.command or DEFAULT) and not _reads_config(sweep, root):
        yield (
            f"command: tells {sweep.program} no parameters, and it does not read wandb.config: all "
            'trials would be alike; add "${args}" to command'
        )


def _no_bayes(sweep: Sweep) -> Iterator[str]:
    """What W&B's engine stops at, the package `sweeps` 0.3.0."""
    for name in _weighted(sweep.raw["parameters"]):
        remedy = "remove them, or write method: random"
        yield f"parameters.{name}.probabilities: W&B's bayes stops at them; {remedy}"
    if all(parameter.values and len(parameter.values) == 1 for parameter in sweep.space):
        yield "parameters: W&B's bayes needs one that varies; write method: grid"


def _weighted(parameters: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, config in parameters.items():
        if "probabilities" in config:
            yield above + name
        yield from _weighted(config.get("parameters", {}), f"{above}{name}.")


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


def _size(sweep: Sweep) -> int | None:
    """Trials of the sweep; None if it never ends by itself."""
    grid = new_search(sweep).size if sweep.method == "grid" else None
    return min((n for n in (sweep.run_cap, grid) if n is not None), default=None)
