"""What a sweep takes and costs, said before: from a few of its trials, whole or cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypertrain.check import cost
from hypertrain.check.bake import Preset
from hypertrain.check.cost import Estimate, Step, Trial
from hypertrain.search.search import Grid
from hypertrain.sweepfile.sweep import load

PROGRAM = """\
import argparse, time
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--step", type=float, default=0.5)
parser.add_argument("--x", type=float, default=0)
args = parser.parse_args()
run = wandb.init(config=vars(args))
for epoch in range(1, args.epochs + 1):
    time.sleep(args.step)
    run.log({"loss": 1 / epoch})
    print(f"epoch {epoch}/{args.epochs}", flush=True)
run.finish()
"""


@pytest.mark.parametrize(
    ("times", "workers", "expected"),
    [([3.0] * 4, 2, 6), ([3.0] * 5, 2, 9), ([1, 1, 1, 9], 2, 10), ([5.0], 8, 5), ([], 2, 0)],
)
def test_each_worker_takes_the_next_trial_when_it_is_free(
    times: list[float], workers: int, expected: float
) -> None:
    assert cost.makespan(times, workers) == expected


def test_a_trial_that_was_cut_off_goes_on_as_it_went() -> None:
    assert cost.whole(Trial({}, 7.0)) == 7
    assert cost.whole(Trial({})) is None
    steps = [Step(12.0, 1, 10), Step(14.0, 2, 10), Step(16.0, 3, 10)]
    assert cost.whole(Trial({}, None, steps)) == 16 + 7 * 2
    assert cost.whole(Trial({}, None, steps[:1])) == 120


def test_a_parameter_that_says_how_many_steps_there_are() -> None:
    steps = [Step(3.0, 1, 10), Step(21.0, 10, 10)]  # 1 s at first, then 2 s a step
    measured = [Trial({"epochs": 10, "lr": 0.1}, 21.0, steps)]
    params = [{"epochs": epochs, "lr": 0.1} for epochs in (5, 10, 20)]
    assert cost.lengths(measured, params) == [11, 21, 41]
    other = [Trial({"epochs": 3, "lr": 0.1}, 21.0, steps)]
    assert cost.lengths(other, params) == [21, 21, 21]
    assert cost.lengths([Trial({"epochs": 10})], params) is None


@pytest.mark.parametrize(
    ("sizes", "count", "size", "expected"),
    [
        ([3, 3], 2, 9, [3, 7]),
        ([5], 1, 5, [3]),
        ([3], 3, 3, [1, 2, 3]),
        ([2, 2], 4, 4, [2, 3, 1, 4]),
        ([1000], 2, 4, [1, 2]),  # of a larger grid that `run_cap` ends
        ([], 1, 1, [1]),
    ],
)
def test_the_trials_to_measure_are_spread_over_the_grid(
    sizes: list[int], count: int, size: int, expected: list[int]
) -> None:
    grid = Grid(())
    grid.sizes = sizes
    assert cost.spread(grid, count, size) == expected


def test_many_trials_are_judged_by_the_first_ones() -> None:
    assert Estimate(4, [3.0] * 4, 2).seconds(2) == 8
    assert Estimate(4000, [3.0] * 1000, 2).seconds(2) == 2 + 4000 * 3 / 2


@pytest.mark.parametrize(
    ("gpus", "price", "workers", "expected"),
    [
        ("", "0.5", 2, "2 workers of small, 5 credits"),
        ("Nvidia: 2 x Tesla K80 12.9 GB", "4", 5, "5 workers of small, 10 credits"),
        ("Nvidia MIG: 1 x 1g.5gb", "", 10, "10 workers of small, if"),
    ],
)
def test_time_and_credits(gpus: str, price: str, workers: int, expected: str) -> None:
    """Ten trials of an hour: credits are for the time that every worker is there."""
    hour = 3600.0
    found = Estimate(10, [hour] * 10, 0.0)
    preset = Preset("small", gpus, price, preemptible=False)
    here, there = cost.costs(found, 4, preset, workers)
    assert here.text == "time: about 3h 00m here with 4 workers, 10 trials of about 1h 00m"
    at_once = workers * max(1, cost.gpus(preset))
    hours = -(-10 // at_once)
    assert there.text.startswith(f"time: about {hours}h 00m on the platform with ")
    if price:
        assert f", {workers * hours * float(price):.2g} credits" in there.text
    assert f"with {expected.partition(',')[0]}" in there.text


def test_nothing_known_is_said() -> None:
    (finding,) = cost.costs(None, 2, None, 0)
    assert finding.status == "unknown"
    assert "--trial-time" in finding.text


@pytest.mark.parametrize(
    ("parameters", "seconds"),
    [({"epochs": [4, 8, 12], "step": [0.1]}, 60), ({"epochs": [20, 40], "step": [0.4]}, 6)],
    ids=["whole", "cut off"],
)
def test_some_trials_are_run_and_the_others_told_from_them(
    parameters: dict[str, list[float]],
    seconds: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How near it comes is for benchmarks/estimate.py to say."""
    sweep = {
        "program": "train.py",
        "project": "p",
        "method": "grid",
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": {name: {"values": values} for name, values in parameters.items()},
    }
    (tmp_path / "train.py").write_text(PROGRAM)
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    monkeypatch.chdir(tmp_path)
    loaded = load(Path("sweep.yaml"), Path())
    epochs = parameters["epochs"]
    found = cost.estimate(loaded, tmp_path, len(epochs), 2, seconds)
    assert found
    assert found.trials == len(epochs)
    assert found.around > 0
    # Told from a training of few epochs and one of many: more epochs take longer.
    assert list(found.each) == sorted(set(found.each))
    assert (found.each[-1] > seconds) == (seconds == 6)
