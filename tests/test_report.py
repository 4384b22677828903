"""The leaderboard and the HTML report, of trials of every kind."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypertrain.show.report import write_report
from hypertrain.show.table import Row, ranked, show
from hypertrain.sweepfile.sweep import Metric
from rich.console import Console

LOSS = Metric("loss", "minimize")
HOSTILE = "<script>alert(1)</script> & [bold]"
ROWS = [
    Row("1", "completed", 0.5, {"lr": 0.1, "opt": "sgd", "same": 1}, 1.5),
    Row("2", "failed", None, {"lr": 0.2, "opt": HOSTILE, "same": 1}, 61.0, HOSTILE),
    Row("3", "stopped", 0.25, {"lr": 0.1, "opt": None, "same": 1}, 3661.0),
    Row("4", "completed", 0.25, {"lr": 1e-5, "opt": [1, 2], "same": 1}, 0.04),
]


class Reader(HTMLParser):
    """Collects elements and text as a browser would."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def test_best_first_and_failed_last_whatever_the_goal() -> None:
    assert [row.name for row in ranked(ROWS, LOSS)] == ["3", "4", "1", "2"]
    assert [row.name for row in ranked(ROWS, Metric("x", "maximize"))] == ["1", "3", "4", "2"]


def test_the_table_shows_what_differs_and_takes_markup_for_text() -> None:
    console = Console(width=200, record=True, quiet=False)
    with console.capture() as shown:
        show(console, ROWS, LOSS, lambda row: f"python train.py --trial={row.name}")
    text = shown.get()
    assert "same" not in text
    assert HOSTILE in text
    assert "1h 01m" in text
    assert "1m 01s" in text
    assert "1e-05" in text
    assert "python train.py --trial=3" in text


def test_the_report_shows_each_trial_and_each_parameter_that_differs(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, HOSTILE, ROWS, LOSS, "python train.py --lr=0.1")
    page = read(path)
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) == 4  # title, heading, value, state and nothing else
    assert page.tags.count("svg") == 3  # by trial, by lr, by opt
    assert page.tags.count("circle") == 9  # three trials have a value
    assert page.tags.count("tr") == 5
    assert "python train.py --lr=0.1" in page.text


@pytest.mark.parametrize("rows", [[], ROWS[1:2], ROWS[:1]])
@pytest.mark.parametrize("metric", [None, LOSS])
def test_few_trials_and_no_metric_make_a_report_too(
    tmp_path: Path, rows: list[Row], metric: Metric | None
) -> None:
    path = tmp_path / "report.html"
    write_report(path, "title", rows, metric, None)
    assert read(path).tags.count("tr") == 1 + len(rows)
