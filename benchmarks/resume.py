"""A sweep of 10,000 trials after SIGKILL of everything: how soon does the next trial start?

The first session's trials have ended already (as in `bookkeeping.py`) until only 10 are left; then
two hang, and all is killed. The second session is the real command with real trials. Run by
`run.py`, with the baked project as the working directory.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bookkeeping import Marks, tune

TRIALS, LEFT = 10_000, 10
PATIENCE = 600.0
SWEEP = {
    "program": "modules/train.py",
    "method": "grid",
    "metric": {"name": "accuracy", "goal": "maximize"},
    "parameters": {
        "lr": {"values": [0.1, 0.01]},
        "optimizer": {"values": ["sgd", "adam"]},
        "scheduler": {"values": ["const", "cosine"]},
        "seed": {"values": list(range(TRIALS // 8))},
    },
}


def first_session(sweep_file: Path) -> None:
    """Never ends by itself: the last two trials hang."""
    marks = Marks()

    def trial(launch: Any) -> bool:
        return len(marks.cpu) < TRIALS - LEFT and marks.run(launch)

    with Path(os.devnull).open("w") as screen:
        tune(sweep_file, Path.cwd(), None, trial, screen)


def ended(journal: Path) -> dict[int, Any]:
    """What the journal tells of each trial that has ended."""
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    return {line["number"]: line for line in lines if line.get("state")}


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise SystemExit("resume: it does not get on")
        time.sleep(0.005)


def kill(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_trials(folder: Path) -> None:
    """Trials lead groups of their own; theirs are the processes that work below `folder`."""
    for output in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            if folder in output.readlink().parents:
                os.kill(int(output.parts[2]), signal.SIGKILL)
        except OSError:
            continue


def resume(python: Path, project: Path) -> dict[str, float | int]:
    """Seconds to the first trial, handed out and running; `fresh`: running, of a sweep that begins.

    `told` trials had ended before the kill; the second session has `lost` so many of them.
    """
    shutil.rmtree(project / "results", ignore_errors=True)
    sweep_file = project / "config" / "resume.yaml"
    sweep_file.write_text(json.dumps(SWEEP))
    env = os.environ | {
        "PYTHONPATH": str(project),
        "OMP_NUM_THREADS": "1",
        "WANDB_MODE": "disabled",
    }
    first = start([str(python), __file__, str(sweep_file)], project, env)
    wait_for(lambda: any(project.glob(f"results/*/trials/{TRIALS - LEFT + 2}")))
    kill(first)
    (results,) = project.glob("results/*")
    journal = results / "journal.jsonl"
    told, size = ended(journal), journal.stat().st_size

    command = [str(python), "-m", "hypertrain", "--sweep", str(sweep_file), "--workers", "2"]
    before = time.perf_counter()
    second = start(command, project, env)
    wait_for(lambda: journal.stat().st_size > size)
    handed_out = time.perf_counter() - before
    again = [results / f"trials/{TRIALS - LEFT + n}-2/output.log" for n in (1, 2)]
    wait_for(lambda: any(output.exists() for output in again))
    running = time.perf_counter() - before
    kill(second)
    kill_trials(results)
    after = ended(journal)
    shutil.rmtree(results)

    before = time.perf_counter()
    third = start(command, project, env)
    anew = [results / f"trials/{n}/output.log" for n in (1, 2)]
    wait_for(lambda: any(output.exists() for output in anew))
    fresh = time.perf_counter() - before
    kill(third)
    kill_trials(results)
    shutil.rmtree(results)
    return {
        "told": len(told),
        "lost": sum(after.get(number) != line for number, line in told.items()),
        "handed_out": handed_out,
        "running": running,
        "fresh": fresh,
    }


def start(words: list[str], project: Path, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        words, cwd=project, env=env, start_new_session=True, stdout=subprocess.DEVNULL
    )


if __name__ == "__main__":
    first_session(Path(sys.argv[1]))
