"""The figures as tables: on the terminal, and between the markers of README.md."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

FIGURES = Path(__file__).with_name("figures.json")
README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
NAMES = {
    "limit": "physical limit: the trainings alone, two warm processes",
    "ours": "**hypertrain**",
    "process": "a new process for each trial",
    "joblib": "Optuna + joblib, reused processes",
    "ray": "Ray Tune, reused actors",
    "worker": "hypertrain's worker, points from W&B's server",
    "agent": "`wandb agent`, two of them",
    "ours@12": "hypertrain, 12 trials",
}
MIB = 2**20
Figures = dict[str, Any]
Rounds = Sequence[Mapping[str, Mapping[str, Any]]]


def load() -> Figures:
    return dict(json.loads(FIGURES.read_text())) if FIGURES.exists() else {}


def save(figures: Figures) -> None:
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    before, _, rest = README.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    README.write_text(f"{before}{BEGIN}\n{render(figures)}\n{END}{after}")


def render(figures: Figures) -> str:
    parts = ["### Goals", goals(figures)]
    for key, part in figures.items():
        if key in PARTS:
            parts += [f"### {TITLES[key]}", PARTS[key](part["found"])]
        else:
            mode, trials = key.split("-")
            parts += [
                f"### {trials} trials, `WANDB_MODE={mode}`",
                speed(part["rounds"], *counts(part), part["memory"]),
            ]
        parts.append(f"Measured on {part['where']}{condition(part)}.")
    return "\n\n".join(parts)


def condition(part: Mapping[str, Any]) -> str:
    return f" (--epochs {part['epochs']})" if part.get("epochs") else ""


def counts(part: Mapping[str, Any]) -> tuple[int, int]:
    return len(part["rounds"]), part["attempts"]


def speed(rounds: Rounds, clean: int, attempts: int, memory: Mapping[str, int]) -> str:
    """One line per contestant: medians over the rounds, and its time as a multiple of ours."""
    names = list(rounds[0])
    rows = [
        [
            NAMES[name],
            spread([one[name]["seconds"] for one in rounds]),
            f"{middle(rounds, name, 'cpu'):.1f}",
            f"{memory[name] / MIB:.0f}" if name in memory else "",
            f"{ratio(rounds, name, 'ours'):.2f}" if "ours" in names else "",
        ]
        for name in names
    ]
    head = ["", "seconds (least to most)", "CPU seconds", "peak MiB", "time ÷ ours"]
    discarded = f"{attempts - clean} of {attempts} rounds discarded: disturbed by other load."
    lines = [table(head, rows), discarded if clean else "ALL ROUNDS WERE DISTURBED: no figures."]
    if "limit" in names and "training" in rounds[0]["limit"]:
        lines.append(f"A trial trains for {middle(rounds, 'limit', 'training'):.2f} s.")
    if set(names) >= {"limit", "ours", "ours@12"}:
        lines.append(f"One more trial costs {marginal(rounds):.3f} s over its training.")
    return "\n\n".join(lines)


def ratio(rounds: Rounds, name: str, to: str) -> float:
    """Median over the rounds of the ratio within a round."""
    return float(median(one[name]["seconds"] / one[to]["seconds"] for one in rounds))


def middle(rounds: Rounds, name: str, what: str) -> float:
    return float(median(one[name][what] for one in rounds))


def marginal(rounds: Rounds) -> float:
    """Seconds of one worker that each trial between the 13th and the 100th takes to no avail."""
    costs = [
        (one["ours"]["seconds"] - one["ours@12"]["seconds"]) / (100 - 12) * 2
        - one["limit"]["training"]
        for one in rounds
    ]
    return float(median(costs))


def spread(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def bookkeeping(found: Sequence[Mapping[str, Any]]) -> str:
    head = ["search", "screen", "trials", "CPU ms a trial", "of the last tenth", "MiB"]
    rows = [
        [
            row["method"],
            "terminal" if row["terminal"] else "log file",
            f"{row['trials']:,}",
            f"{row['cpu_ms']:.2f}",
            f"{row['last_tenth_cpu_ms']:.2f}" if row["trials"] >= 100 else "",
            f"{row['memory_mib']:.0f}",
        ]
        for row in found
    ]
    return table(head, rows) + "\n\n![CPU time and memory from 10 to 10,000 trials](growth.svg)"


def resumed(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        ["first trial handed out", spread([row["handed_out"] for row in found])],
        ["its process runs", spread([row["running"] for row in found])],
        ["the same in a sweep that begins", spread([row["fresh"] for row in found])],
        ["trials told before the kill", f"{found[0]['told']:,}"],
        ["of these lost", str(sum(row["lost"] for row in found))],
    ]
    return table(["after the command, in seconds", "median (least to most)"], rows)


def searched(found: Sequence[Mapping[str, Any]]) -> str:
    engines = list(dict.fromkeys(row["engine"] for row in found))
    cases = list(dict.fromkeys((row["problem"], row["workers"]) for row in found))
    regrets = {
        (row["problem"], row["workers"], row["engine"]): f"{row['regret']:.4f} ± {row['error']:.4f}"
        for row in found
    }
    rows = [[name, str(n), *(regrets[name, n, engine] for engine in engines)] for name, n in cases]
    return table(["mean regret", "workers", *engines], rows)


def worked(found: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [
            name,
            f"{row['ms']:.0f}",
            f"{row['kib'] / 1024:.1f}",
            f"{row['descriptors']}",
            f"{row['threads']}",
            f"{row['children']}",
        ]
        for name, row in zip(("100 trials", "1,000 trials"), found.values(), strict=True)
    ]
    return table(["after", "ms a trial", "MiB", "descriptors", "threads", "children"], rows)


def growth(figures: Figures) -> str:
    found = figures["short"]["found"]
    early, late = found["early"], found["late"]
    counted = all(late[key] <= early[key] for key in ("descriptors", "threads", "children"))
    kib = (late["kib"] - early["kib"]) / 900
    rest = "nothing else" if counted else "descriptors, threads or children grow"
    return f"{kib:.1f} KiB a trial, {rest}; {late['ms'] / early['ms']:.2f} x the time"


def goals(figures: Figures) -> str:
    """The goals that were set, each next to what was measured, as far as it was."""
    rows = []
    for measure, goal, read in GOALS:
        try:
            rows.append([measure, goal, read(figures)])
        except KeyError:
            rows.append([measure, goal, "not measured yet"])
    return table(["measure", "goal", "measured"], rows)


def times(key: str, name: str, to: str) -> Callable[[Figures], str]:
    return lambda figures: (
        f"{ratio(figures[key]['rounds'], name, to):.2f} x{condition(figures[key])}"
    )


def more(key: str) -> Callable[[Figures], str]:
    return lambda figures: f"{marginal(figures[key]['rounds']):.3f} s{condition(figures[key])}"


def memory_share(key: str) -> Callable[[Figures], str]:
    def read(figures: Figures) -> str:
        memory = figures[key]["memory"]
        return f"{memory['ours'] / memory['process']:.2f} x{condition(figures[key])}"

    return read


def largest(figures: Figures) -> str:
    rows = [row for row in figures["bookkeeping"]["found"] if row["trials"] == 10_000]
    return f"{max(row['cpu_ms'] for row in rows):.1f} ms"


def soonest(figures: Figures) -> str:
    found = figures["resume"]["found"]
    lost = sum(row["lost"] for row in found)
    return f"{median(row['handed_out'] for row in found):.2f} s, {lost} lost"


def no_worse(figures: Figures) -> str:
    regrets = {
        (row["problem"], row["workers"], row["engine"]): row["regret"]
        for row in figures["search"]["found"]
    }
    cases = {(problem, workers) for problem, workers, _ in regrets}
    held = sum(regrets[*case, "ours"] <= regrets[*case, "W&B"] for case in cases)
    return f"in {held} of {len(cases)} cases"


GOALS: list[tuple[str, str, Callable[[Figures], str]]] = [
    ("of the physical limit, 12 trials", "≤ 1.35 x", times("disabled-12", "ours", "limit")),
    ("the same, offline", "≤ 1.35 x", times("offline-12", "ours", "limit")),
    ("of the physical limit, 100 trials", "≤ 1.10 x", times("disabled-100", "ours", "limit")),
    ("the same, offline", "≤ 1.10 x", times("offline-100", "ours", "limit")),
    ("faster than a process per trial", "≥ 2.8 x", times("disabled-12", "process", "ours")),
    ("the same, offline", "≥ 3 x", times("offline-12", "process", "ours")),
    ("faster than `wandb agent`, online", "≥ 4 x", times("online-12", "agent", "ours")),
    ("W&B's points, of our own search's time", "≤ 1.2 x", times("online-12", "worker", "ours")),
    ("W&B's points, faster than `wandb agent`", "≥ 4 x", times("online-12", "agent", "worker")),
    ("1,000 short trials of W&B's points", "no growth", growth),
    ("faster than Ray Tune", "≥ 1.5 x", times("disabled-12", "ray", "ours")),
    ("faster than Optuna + joblib", "≥ 1 x", times("disabled-12", "joblib", "ours")),
    ("one more trial, over its training", "≤ 0.10 s", more("disabled-100")),
    ("the same, offline", "≤ 0.15 s", more("offline-100")),
    ("peak memory of a process per trial", "≤ 0.75 x", memory_share("disabled-12")),
    ("the same, offline", "≤ 0.75 x", memory_share("offline-12")),
    ("bookkeeping a trial, of 10,000", "≤ 5 ms CPU", largest),
    ("resume of 10,000 trials, to the first handed out", "< 2 s, 0 lost", soonest),
    ("regret of `bayes` no worse than W&B's", "all cases", no_worse),
]
PARTS: dict[str, Callable[[Any], str]] = {
    "bookkeeping": bookkeeping,
    "resume": resumed,
    "search": searched,
    "short": worked,
}
TITLES = {
    "bookkeeping": "Bookkeeping, from 10 to 10,000 trials",
    "resume": "Resume of 10,000 trials after SIGKILL of everything",
    "search": "Search quality: 30 trials, 10 seeds",
    "short": "A worker of W&B's points with 1,000 short trials",
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
