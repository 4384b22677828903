"""How long a report takes from opening it until all of it is drawn, in headless Chromium:

    .cache/tests/bin/python benchmarks/drawing.py

Reports of 60 and of 10,000 trials are opened in turns, by a new browser each time, until there are
five undisturbed rounds. What each opening took goes to drawing.jsonl, the medians are printed.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from measure import measure

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "{{cookiecutter.project_slug}}")]
RAW = Path(__file__).with_name("drawing.jsonl")
SIZES, ROUNDS, ATTEMPTS = (60, 10_000), 5, 15
FOREIGN = 0.05
"""A round is disturbed when other processes took more than this share of the cores."""


def main() -> None:
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = {count: written(folder / str(count), count) for count in SIZES}
        for _ in range(ATTEMPTS):
            one = {count: opened(path, folder / "output.log") for count, path in paths.items()}
            if max(opening["foreign"] for opening in one.values()) <= FOREIGN:
                found += [{"trials": count, **opening} for count, opening in one.items()]
            if len(found) >= ROUNDS * len(SIZES):
                break
    RAW.write_text("".join(f"{json.dumps(opening)}\n" for opening in found))
    for count in SIZES:
        seconds = [one["seconds"] for one in found if one["trials"] == count]
        if seconds:
            spread = f"{median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
            print(f"{count:,} trials: {spread}, {len(seconds)} times")


def written(folder: Path, count: int) -> Path:
    from hypertrain.show.report import write_report
    from test_report import outcome, trials

    folder.mkdir()
    write_report(folder / "report.html", outcome(folder, trials(folder, count)))
    return folder / "report.html"


def opened(path: Path, log: Path) -> dict[str, Any]:
    cost = measure([sys.executable, __file__, str(path)], ROOT, os.environ, log)
    if cost.status:
        raise SystemExit(log.read_text())
    return {
        "seconds": int(log.read_text()) / 1000,
        "bytes": path.stat().st_size,
        "foreign": round(cost.foreign / (os.cpu_count() or 1), 3),
    }


def show(path: Path) -> None:
    """Open it and print how many milliseconds that took, as the page itself has noted."""
    from browser import Browser

    with Browser(1400) as browser:
        browser.open(path)
        print(browser.run("document.documentElement.dataset.drawn"))


if __name__ == "__main__":
    show(Path(sys.argv[1])) if sys.argv[1:] else main()
