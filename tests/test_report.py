"""The HTML report: what it says, of trials of every kind, and how it behaves in a browser."""

from __future__ import annotations

import itertools
import json
import math
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from hypertrain.results.outcome import Outcome, Row
from hypertrain.show import report
from hypertrain.show.report import live_report, write_report
from hypertrain.sweepfile.sweep import Metric

ACCURACY = Metric("acc", "maximize")
HOSTILE = "</script><script>alert(1)</script> & <b>[bold]</b> @@data@@"


def outcome(folder: Path, rows: list[Row], metric: Metric | None = ACCURACY) -> Outcome:
    return Outcome(
        title=f"{HOSTILE}: random search",
        where="results/sweep-1",
        metric=metric,
        rows=rows,
        repeat=lambda row: f"python train.py --trial={row.name}",
        folder=folder,
        logs=frozenset({"lr"}),
    )


def trials(folder: Path, count: int, parameters: int = 0) -> list[Row]:
    """Trials of which `lr` decides, and with files for the first hundred."""
    random = np.random.default_rng(0)
    rows = []
    for number in range(1, count + 1):
        params: dict[str, Any] = {
            "lr": float(10 ** random.uniform(-5, 0)),
            "optimizer": ["sgd", "adam", HOSTILE][random.integers(3)],
            "layers": int(random.integers(1, 20)),
            "nested": {"width": float(random.normal())},
            **{f"extra{i}": float(random.random()) for i in range(parameters)},
        }
        value = 1 - abs(math.log10(params["lr"]) + 2.5) / 6 + 0.05 * float(random.random())
        state = ["completed", "completed", "completed", "stopped", "failed"][random.integers(5)]
        trial = folder / "trials" / str(number)
        if number <= 100:
            trial.mkdir(parents=True)
            lines = (json.dumps({"acc": value - 1 / epoch}) for epoch in range(1, 21))
            (trial / "metrics.jsonl").write_text("\n".join(lines) + "\n")
            (trial / "output.log").write_text(f"epoch 1\n{HOSTILE}\n")
        failed = state == "failed"
        rows.append(
            Row(
                str(number),
                state,
                None if failed else value,
                params,
                5.0,
                f"exit status 1: {HOSTILE} {number}" if failed else "",
                1.7e9 + 3 * number,
                1.7e9 + 3 * number + 5,
                number % 4,
                "host",
                trial,
            )
        )
    return rows


class Reader(HTMLParser):
    """Collects elements, and the text outside of scripts, as a browser would."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] not in (["script"], ["style"]):
            self.text += data


def test_text_of_any_kind_is_data(tmp_path: Path) -> None:
    page = report.page(outcome(tmp_path, trials(tmp_path, 30)))
    read = Reader(page)
    assert read.tags.count("script") == 3
    assert HOSTILE in read.text
    assert page.count("</script>") == 3
    (found,) = re.findall(r'<script type="application/json" id="data">(.*)</script>', page)
    data = json.loads(found)
    (optimizer,) = (one for one in data["params"] if one["name"] == "optimizer")
    assert HOSTILE in optimizer["kinds"]


def test_failures_are_told_by_cause_with_the_lines_that_matter(tmp_path: Path) -> None:
    rows = trials(tmp_path, 60)
    failed = [row for row in rows if row.state == "failed"]
    read = Reader(report.page(outcome(tmp_path, rows)))
    assert f"{len(failed)} trials: exit status 1" in read.text
    assert read.tags.count("pre") == 1
    assert "epoch 1\n" in read.text


def strange() -> dict[str, tuple[list[Row], Metric | None, str]]:
    """Sweeps of which there is little to show, and what the page says then."""
    one = Row("1", "completed", 0.5, {"lr": 0.1})
    lost = Row("2", "failed", None, {"lr": 0.2}, note="exit status 1")
    same = [Row(str(i), "completed", 0.5, {"lr": 0.1 * i}) for i in range(1, 31)]
    endless = Row("3", "completed", math.inf, {"lr": math.inf, "x": math.nan})
    return {
        "empty": ([], ACCURACY, "No trial has ended yet"),
        "no metric": ([Row("1", "completed", None, {"lr": 0.1})], None, "names no metric"),
        "all failed": ([lost], ACCURACY, "no trial has a value yet"),
        "one": ([one], ACCURACY, "Best: acc 0.5, trial 1"),
        "constant": (same, ACCURACY, "acc is 0.5 in 30 trials"),
        "infinite": ([one, endless], ACCURACY, "Best: acc 0.5, trial 1"),
        "running": ([Row("1", "running", None, {"lr": 0.1}, begun=1.7e9)], ACCURACY, "1 trial in"),
    }


@pytest.fixture(scope="module")
def any_browser() -> Iterator[Browser | None]:
    if not CHROMIUM:
        yield None
        return
    with Browser(800) as browser:
        yield browser


@pytest.mark.parametrize("kind", strange())
def test_a_page_says_so_when_there_is_little_to_show(
    kind: str, tmp_path: Path, any_browser: Browser | None
) -> None:
    rows, metric, said = strange()[kind]
    path = tmp_path / "report.html"
    write_report(path, outcome(tmp_path, rows, metric))
    assert said in Reader(path.read_text()).text
    if any_browser:
        any_browser.open(path)
        assert not any_browser.problems


def test_the_live_report_costs_little_and_ends_no_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    rows = trials(tmp_path, 60)
    now = [0.0]
    looked = []

    def look() -> Outcome:
        looked.append(now[0])
        return outcome(tmp_path, rows)

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    write = live_report(path, look)
    write(False)
    assert not path.exists(), "nothing has changed"
    write(True)
    assert path.exists()
    for _ in range(100):
        now[0] += 0.1
        write(True)
    assert 3 <= len(looked) <= 4, "every three seconds at most"

    slow = live_report(path, lambda: (now.__setitem__(0, now[0] + 1.0), look())[1])
    looked.clear()
    for _ in range(2000):
        now[0] += 0.1
        slow(True)
    assert len(looked) <= 3, "one part in a hundred of the time"

    path.unlink()
    path.mkdir()
    live_report(path, look)(True)


# In a browser

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="Debian's package chromium is missing")


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sixty")
    write_report(folder / "report.html", outcome(folder, trials(folder, 60)))
    return folder / "report.html"


@pytest.fixture
def page(sixty: Path) -> Iterator[Browser]:
    with Browser(1400) as browser:
        browser.open(sixty)
        yield browser
        assert not browser.problems
        assert browser.requests == [sixty.as_uri()]


SHOWN = "document.querySelectorAll('#trials tbody tr').length"


@needs_chromium
@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_it_is_drawn_without_a_complaint_or_a_request(sixty: Path, width: int, dark: bool) -> None:
    with Browser(width, dark=dark) as browser:
        browser.open(sixty)
        assert not browser.problems
        assert browser.requests == [sixty.as_uri()]
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run("document.querySelectorAll('canvas').length") >= 9
        empty = browser.run(
            "[...document.querySelectorAll('canvas')].filter(c => !c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data.some(v => v)).length"
        )
        assert empty == 0


@needs_chromium
def test_brushing_a_coordinate_filters_the_table(page: Browser) -> None:
    assert page.run(SHOWN) == 60
    page.run("document.getElementById('coordinates').scrollIntoView({block: 'center'})")
    box = page.run("(({x, y, height}) => [x, y, height])"
                   "(document.getElementById('coordinates').getBoundingClientRect())")  # fmt: skip
    first = page.run("echarts.getInstanceByDom(document.getElementById('coordinates'))"
                     ".getModel().findComponents({mainType: 'parallelAxis'})[0].name")  # fmt: skip
    x, top, bottom = box[0] + 44, box[1] + 34, box[1] + box[2] - 26
    page.drag(x, top + 10, x, (top + bottom) / 2)
    kept = page.wait(f"{SHOWN} < 60 && {SHOWN}")
    assert 0 < kept < 50
    values = page.run(
        f"[...document.querySelectorAll('#trials tbody tr')].map(r => r.cells[[...document"
        f".querySelectorAll('#trials th')].findIndex(h => h.textContent === {json.dumps(first)})]"
        ".textContent)"
    )
    assert first == "lr"
    assert all(float(value) > 10**-2.6 for value in values), values
    assert page.run("document.getElementById('told').textContent").startswith(f"{kept} of 60")
    page.run("document.getElementById('clear').click()")
    page.wait(f"{SHOWN} === 60")


@needs_chromium
def test_the_history_has_better_trials_above_and_steps_up_at_each_record(
    page: Browser, sixty: Path
) -> None:
    """The metric is to be maximised."""
    chart = "echarts.getInstanceByDom(document.getElementById('history'))"
    series = f"{chart}.getOption().series"
    dots = f"{series}.filter(s => s.type === 'scatter').flatMap(s => s.data)"
    values = page.run(f"{dots}.sort((a, b) => a[0] - b[0]).map(p => p[1])")
    steps = page.run(f"{series}.find(s => s.id === 'record').data.map(p => p[1])")
    assert len(values) > 50
    assert steps == list(itertools.accumulate(values, max))
    above, below = (
        page.run(f"{chart}.convertToPixel({{yAxisIndex: 0}}, {value})")
        for value in (max(values), min(values))
    )
    assert above < below


@needs_chromium
def test_a_box_in_a_picture_filters_the_table(page: Browser) -> None:
    page.run("document.getElementById('history').scrollIntoView({block: 'center'})")
    x, y, width, height = page.run("(({x, y, width, height}) => [x, y, width, height])"
                   "(document.getElementById('history').getBoundingClientRect())")  # fmt: skip
    page.drag(x + width * 0.3, y + 40, x + width * 0.6, y + height - 60)
    assert 0 < page.wait(f"{SHOWN} < 60 && {SHOWN}") < 60


@needs_chromium
def test_table_and_pictures_are_linked_by_hover(page: Browser) -> None:
    marks = """[...document.querySelectorAll('.plot')].map(div => echarts.getInstanceByDom(div))
        .filter(chart => chart?.getZr().storage.getDisplayList(true)
        .some(shape => shape.type === 'circle' && shape.z === 99 && !shape.invisible)).length"""
    assert page.run(marks) == 0
    row = "document.querySelector('#trials tbody tr')"
    page.run(f"{row}.scrollIntoView({{block: 'center'}})")
    x, y = page.run(f"(({{x, y}}) => [x, y])({row}.getBoundingClientRect())")
    page.hover(x + 20, y + 8)
    assert page.run(marks) == 5, "the history and four slices"


@needs_chromium
def test_the_table_is_sorted_and_filtered_from_the_keyboard(page: Browser) -> None:
    page.run("document.getElementById('filter').focus()")
    page.type("optimizer=adam lr<0.01")
    kept = page.wait(f"{SHOWN} < 60 && {SHOWN}")
    assert page.run("[...document.querySelectorAll('#trials tbody tr')]"
                    ".every(row => row.textContent.includes('adam'))")  # fmt: skip
    for _ in range(4):  # the button that shows all, then three headings
        page.press("Tab")
    assert page.run("document.activeElement.textContent") == "lr"
    page.press("Enter")
    assert page.run("document.activeElement.closest('th').ariaSort") == "ascending"
    rates = page.run("[...document.querySelectorAll('#trials tbody tr')]"
                     ".map(row => Number(row.cells[2].textContent))")  # fmt: skip
    assert rates == sorted(rates)
    assert len(rates) == kept


@needs_chromium
def test_it_can_be_printed(page: Browser) -> None:
    assert page.pdf().startswith(b"%PDF")


@needs_chromium
@pytest.mark.parametrize(("count", "parameters"), [(10_000, 0), (300, 200)])
def test_large_sweeps_are_drawn_too(count: int, parameters: int, tmp_path: Path) -> None:
    """How fast, `benchmarks/drawing.py` measures."""
    path = tmp_path / "report.html"
    write_report(path, outcome(tmp_path, trials(tmp_path, count, parameters)))
    assert path.stat().st_size < 10e6
    with Browser(1400) as browser:
        browser.open(path)
        assert not browser.problems
        assert browser.run("document.getElementById('told').textContent").startswith(f"{count} ")
