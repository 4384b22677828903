"""What came of a program that was run, in a form that can be compared, and the comparison.

Not promised, and masked here: times, process numbers, ports, addresses in memory, the ids that W&B
gives, where the project and W&B's own files lie, the order of lines.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import run_file
from run_file import WrittenRun

VOLATILE = [
    (r"0x[0-9a-f]{6,}", "ADDRESS"),
    (r"\b[WIEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+", "LOG"),
    (r"\d{4}-\d\d-\d\d(?:[ T_/]\d\d[:-]\d\d[:-]\d\d(?:[.,]\d+)?(?:[+]\d\d:\d\d)?)?", "TIME"),
    (r"\b\d?\d:\d\d(?::\d\d)?(?:[.,]\d+)?\b", "TIME"),
    (r"\d+(?:\.\d+)? ?(?:ms|us|s|sec|it/s|s/it)(?:/\w+)?(?![\w.])", "DURATION"),
    (r"(?i)\b(pids?|pgid|process)\b[ :=]*\d+", r"\1"),
    (r"(runtime|per_second)'?: '?[\d.]+", r"\1"),
    (r"(?<=127\.0\.0\.1:)\d+|(?<=localhost:)\d+|(?<=\]:)\d+", "PORT"),
    (r"/tmp/\w+", "TEMPORARY"),
]
IN_NAMES = [
    (r"\d{4}-\d\d-\d\d|\b\d\d-\d\d-\d\d\b", "TIME"),
    (r"events\.out\.tfevents\.\S+", "EVENTS"),
    (r"_[0-9a-f]{20}\.", "_HASH."),
    (r"_table-[\w-]{6}$", "_table-HASH"),
]
W_AND_B_SAYS = re.compile(
    r"^(?:wandb: .*|wandb:|\S+ \S+ - wandb\.wandb_agent - .*(?:\n\t.*)*)$", re.MULTILINE
)
UNPROMISED_KEYS = re.compile(
    r"_timestamp|_wandb\b.*|.*runtime|.*_per_second"
    r"|.*\.(path|size|sha256|_latest_artifact_path|artifact_path)"
)


class Ids(NamedTuple):
    """What W&B calls a trial's run and its sweep."""

    run: str
    sweep: str


@dataclass
class Run:
    """One W&B run of a trial."""

    id: str
    attributes: dict[str, Any]
    config: dict[str, Any]
    history: list[dict[str, Any]]
    summary: dict[str, Any]
    metrics: dict[str, str]
    artifacts: list[str]
    output: Counter[str]
    files: set[str]
    exit_code: int | None


@dataclass
class Trial:
    """One trial. id: of its run. status: as a shell sees it; None where that cannot be seen.

    value: best of the sweep's metric. console: lines and how often each was written.
    reason: why it failed, in the sweep's words.
    """

    id: str
    status: int | None
    value: float | None
    console: Counter[str]
    runs: list[Run]
    reason: str = ""
    completed: bool = False


@dataclass
class Outcome:
    """Of all trials.

    others: runs that the programs opened beside those of their trials.
    files: what was written, by masked path: `empty`, `binary` or how many lines.
    leftovers: commands that were still running afterwards.
    """

    trials: list[Trial]
    others: list[Run] = field(default_factory=list)
    files: dict[str, set[str]] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)


def together(outcomes: Iterable[Outcome]) -> Outcome:
    """Of several, as if all had been in one project."""
    whole = Outcome([])
    for one in outcomes:
        whole.trials += one.trials
        whole.others += one.others
        whole.leftovers += one.leftovers
        for name, kinds in one.files.items():
            whole.files[name] = whole.files.get(name, set()) | kinds
    return whole


# Looking


def trial(root: Path, log: Path, metric: Mapping[str, Any], status: int | None, ids: Ids) -> Trial:
    """What the trial left in the project and in `log`."""
    own = [run for run in written(root) if run.id == ids.run]
    console = lines(log.read_bytes().decode(errors="replace"), root, ids)
    shell = None if status is None else status if status >= 0 else 128 - status
    return Trial(ids.run, shell, best(own, metric), console, [_run(root, run, ids) for run in own])


def recorded_trial(
    root: Path, results: Path, record: Mapping[str, Any], metric: Mapping[str, Any]
) -> Trial:
    """What the sweep tells of a trial in its journal, beside what the trial left."""
    attempt = record.get("attempt", 1)
    name = f"{record['number']}" + (f"-{attempt}" if attempt > 1 else "")
    log = results / "trials" / name / "output.log"
    told = (run.id for run in written(root) if run.id.endswith(f"-{name}"))
    ids = Ids(next(told, f"none-{name}"), results.name.removeprefix("sweep-"))
    found = trial(root, log, metric, record.get("exit"), ids)
    found.reason = record.get("reason") or ""
    found.completed = record["state"] == "completed"
    found.value = record.get("value")
    return found


def finish(root: Path, before: Mapping[str, bytes], trials: list[Trial]) -> Outcome:
    """The trials together with what belongs to none of them."""
    ids = {trial.id for trial in trials}
    others = [_run(root, run, Ids(run.id, "")) for run in written(root) if run.id not in ids]
    return Outcome(trials, others, files(root, before, ids))


def best(runs: list[WrittenRun], metric: Mapping[str, Any]) -> float | None:
    """Best value of the metric that the runs logged, else what their summary says."""
    name, choose = metric["name"], max if metric.get("goal") == "maximize" else min
    values = [row[name] for run in runs for row in run.history if name in row]
    finite = [value for value in values if isinstance(value, int | float) and math.isfinite(value)]
    if finite:
        return float(choose(finite))
    last = [run.summary[name] for run in runs if isinstance(run.summary.get(name), int | float)]
    return float(choose(last)) if last else None


def files(root: Path, before: Mapping[str, bytes], runs: Iterable[str]) -> dict[str, set[str]]:
    """Files that are new or changed, without W&B's own, results and caches."""
    found: dict[str, set[str]] = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        skipped = re.match(r"(wandb|results|\.venv)/", name) or "__pycache__" in name
        if skipped or ".egg-info/" in name or not path.is_file():
            continue
        content = path.read_bytes()
        if before.get(name) != content:
            for run in runs:
                name = name.replace(run, "RUN")
            found.setdefault(masked(name, IN_NAMES), set()).add(_kind(content))
    return found


def _kind(content: bytes) -> str:
    if not content:
        return "empty"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return "binary"
    return f"{len(_of_program(text))} lines"


def lines(text: str, root: Path, ids: Ids) -> Counter[str]:
    """Lines of a console and how often each is there, without what is not promised."""
    found: Counter[str] = Counter()
    for line, times in Counter(_of_program(text)).items():
        found[masked(_placed(line, root, ids), VOLATILE)] += times
    return found


def _of_program(text: str) -> list[str]:
    """Lines as a terminal would show them, without empty ones and those of W&B and its agent."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    shown = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return [line for line in W_AND_B_SAYS.sub("", "\n".join(shown)).split("\n") if line]


def _placed(text: str, root: Path, ids: Ids) -> str:
    """Text without where the project lies and what W&B calls things."""
    text = text.replace(str(root), "ROOT").replace(str(root.with_name("home")), "HOME")
    text = text.replace(ids.run, "RUN")
    return text.replace(ids.sweep, "SWEEP") if ids.sweep else text


def masked(text: str, masks: list[tuple[str, str]]) -> str:
    for pattern, name in masks:
        text = re.sub(pattern, name, text)
    return text


def written(root: Path) -> list[WrittenRun]:
    """Every run that has left a file, in the order of their starts."""
    found = (path for path in root.rglob("run-*.wandb") if "latest-run" not in path.parts)
    return sorted(map(run_file.read, found), key=lambda run: run.started)


def _run(root: Path, run: WrittenRun, ids: Ids) -> Run:
    attributes = dict(run.attributes)
    attributes["program"] = _placed(attributes.get("program", ""), root, ids)
    attributes["args"] = [_placed(word, root, ids) for word in attributes.get("args", [])]
    media = run.path.parent / "files"
    names = (path.relative_to(media).as_posix() for path in media.rglob("*") if path.is_file())
    return Run(
        run.id,
        attributes,
        _promised(run.config),
        [_promised(row) for row in run.history],
        _promised(run.summary),
        run.metrics,
        sorted(masked(_placed(name, root, ids), IN_NAMES) for name in run.artifacts),
        lines(run.output, root, ids),
        {masked(name, IN_NAMES) for name in names if name.startswith(("media/", "code/"))},
        run.exit_code,
    )


def _promised(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of history, a summary or a configuration without what is never the same twice."""
    return {key: value for key, value in _flat(row) if not UNPROMISED_KEYS.fullmatch(key)}


def _flat(row: Mapping[str, Any], prefix: str = "") -> Any:
    for key, value in row.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


# Comparing


def differences(expected: Outcome, found: Outcome, unpromised: frozenset[str]) -> list[str]:
    """What differs, in words; nothing where all is as by hand."""
    told: list[str] = []
    if len(expected.trials) != len(found.trials):
        return [f"{len(found.trials)} trials, by hand {len(expected.trials)}"]
    for number, (hand, other) in enumerate(zip(expected.trials, found.trials, strict=True), 1):
        told += [f"trial {number}: {text}" for text in _of_trials(hand, other, unpromised)]
    if "files" not in unpromised:
        told += _of_dicts("file", expected.files, found.files)
    if "runs" not in unpromised:
        told += _of_counters("other runs", _kinds(expected.others), _kinds(found.others))
    told += [f"still running: {words[:120]}" for words in found.leftovers]
    return told


def _of_trials(hand: Trial, other: Trial, unpromised: frozenset[str]) -> list[str]:
    told = []
    if other.status is not None and hand.status != other.status:
        told.append(f"status {other.status} ({other.reason}), by hand {hand.status}")
    if other.completed and "value" not in unpromised and hand.value != other.value:
        told.append(f"value {other.value} ({other.reason}), by hand {hand.value}")
    if "console" not in unpromised:
        told += _of_counters("console", hand.console, other.console)
    if "runs" in unpromised:
        return told
    if len(hand.runs) != len(other.runs):
        return [*told, f"{len(other.runs)} runs, by hand {len(hand.runs)}"]
    for one, two in zip(hand.runs, other.runs, strict=True):
        told += [f"run: {text}" for text in _of_runs(one, two, unpromised)]
    return told


def _of_runs(hand: Run, other: Run, unpromised: frozenset[str]) -> list[str]:
    told = _of_dicts("attribute", *_attributes(hand, other))
    told += _of_dicts("config", hand.config, other.config)
    if "history" not in unpromised:
        told += _of_dicts("summary", hand.summary, other.summary)
        if len(hand.history) != len(other.history):
            told.append(f"{len(other.history)} rows of history, by hand {len(hand.history)}")
        for step, (row, its) in enumerate(zip(hand.history, other.history, strict=False)):
            told += _of_dicts(f"history {step}", row, its)
    told += _of_dicts("defined metric", hand.metrics, other.metrics)
    if hand.artifacts != other.artifacts:
        told.append(f"artifacts {other.artifacts}, by hand {hand.artifacts}")
    if "console" not in unpromised:
        told += _of_counters("W&B's console", hand.output, other.output)
    if hand.files != other.files:
        told.append(f"files {sorted(other.files)}, by hand {sorted(hand.files)}")
    if hand.exit_code != other.exit_code:
        told.append(f"exit code {other.exit_code}, by hand {hand.exit_code}")
    return told


def _kinds(runs: list[Run]) -> Counter[str]:
    return Counter(
        f"{run.attributes['display_name']} {run.config} {rows} {run.exit_code}"
        for run in runs
        for rows in [[sorted(row.items()) for row in run.history]]
    )


def _attributes(hand: Run, other: Run) -> list[dict[str, Any]]:
    """What to compare. A sweep names what the program leaves unnamed; a run of less than a
    second may end before W&B has written down its command.
    """
    left_out = {name for name in ("display_name", "run_group") if not hand.attributes.get(name)}
    if not (hand.attributes["program"] and other.attributes["program"]):
        left_out |= {"program", "args"}
    return [
        {name: value for name, value in run.attributes.items() if name not in left_out}
        for run in (hand, other)
    ]


def _of_dicts(what: str, hand: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    missing = object()
    told = []
    for key in {**hand, **other}:
        one, two = hand.get(key, missing), other.get(key, missing)
        if two is missing:
            told.append(f"{what} {key} is missing, by hand {one!r}")
        elif one is missing:
            told.append(f"{what} {key} is {two!r}, by hand there is none")
        elif one != two and not (one != one and two != two):
            told.append(f"{what} {key} is {two!r}, by hand {one!r}")
    return told


def _of_counters(what: str, hand: Counter[str], other: Counter[str]) -> list[str]:
    less = [f"{what} lacks {line[:200]!r}" for line in hand - other]
    return less + [f"{what} has {line[:200]!r}" for line in other - hand]
