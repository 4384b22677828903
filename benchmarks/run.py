"""All benchmarks, on Linux, with nothing else running, in an hour and a quarter:

    python benchmarks/run.py
    python benchmarks/run.py --only ours,limit --rounds 3 --trials 12 --mode disabled

`--epochs N` changes how long a trial trains; what was measured with it is marked so in the figures.
Environments are made on the first run. Whatever is complete (all peers, 5 undisturbed rounds) goes
to figures.json, and from there into README.md; the rest is only printed.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bookkeeping
import report
import resume
import short
from environments import CACHE, HERE, bake, python, variables
from measure import Cost, measure

SPEED = ("limit", "ours", "process", "joblib", "ray", "worker", "agent")
MEMORY = "memory"
PARTS = ("bookkeeping", "resume", "search", "short")
MODES = ("disabled", "offline", "online")
ROUNDS = 5
ATTEMPTS = 3
"""So many times the rounds asked for, until enough are undisturbed."""
FOREIGN = 0.05
"""A round is disturbed when other processes took more than this share of the cores."""
GRID = 12
HALVES = {"limit/1": slice(0, None, 2), "limit/2": slice(1, None, 2)}
"""The machine's own speed drifts during a long sweep: half of the limit's trials run before the
others, half after them."""
PEERS = {
    "limit": ("project", "limit.py"),
    "process": ("project", "process.py"),
    "joblib": ("project", "joblib_optuna.py"),
    "ray": ("ray", "ray_tune.py"),
    "worker": ("project", "worker.py"),
    "agent": ("project", "agent.py"),
}

Round = dict[str, dict[str, Any]]


def main() -> None:
    arguments = parse()
    only = arguments.only
    project = bake(python("tools"))
    if arguments.epochs:
        own = sweep_file(project, GRID)
        own.write_text(with_parameter(own, f"epochs: {{value: {arguments.epochs}}}"))
    figures = report.load()
    for trials in arguments.trials:
        for mode in arguments.mode:
            everyone = contestants(mode, trials)
            names = [name for name in everyone if re.split("[@/]", name)[0] in only]
            if not names:
                continue
            key = f"{mode}-{trials}"
            watched = names if MEMORY in only and trials <= GRID else []
            rounds, memory = compete(names, watched, mode, trials, arguments.rounds, project)
            clean = [one for one in rounds if not disturbed(one)]
            print(report.speed(clean or rounds, len(clean), len(rounds), memory), flush=True)
            complete = names == everyone and (watched or trials > GRID)
            if complete and len(clean) >= ROUNDS:
                found = {"rounds": clean, "attempts": len(rounds), "memory": memory}
                figures[key] = {"where": where(), "epochs": arguments.epochs, **found}
                report.save(figures)
    for part in PARTS:
        if part in only:
            results = {"bookkeeping": book, "resume": resumed, "search": searched, "short": worked}[
                part
            ](project)
            print(report.PARTS[part](results), flush=True)
            figures[part] = {"where": where(), "found": results}
            report.save(figures)


def contestants(mode: str, trials: int) -> list[str]:
    """Who takes part; `ours@12` is the short sweep that tells what one more trial costs."""
    if mode == "online":
        return ["ours", "worker", "agent"] if trials <= GRID else []
    if trials > GRID:
        before, after = HALVES
        return [before, "ours", f"ours@{GRID}", after]
    return ["limit", "ours", "process", "joblib", "ray"]


def compete(
    names: Sequence[str],
    watched: Sequence[str],
    mode: str,
    trials: int,
    wanted: int,
    project: Path,
) -> tuple[list[Round], dict[str, int]]:
    """Rounds in which all run once; then the peak memory of those `watched`, which costs time."""
    rounds: list[Round] = []
    with w_and_b(mode, project) as (account, helpers):

        def run(name: str, memory: bool = False) -> dict[str, Any]:
            peer, _, count = name.partition("@")
            return once(peer, mode, int(count or trials), project, account, helpers, memory)

        while sum(not disturbed(one) for one in rounds) < wanted:
            if len(rounds) == ATTEMPTS * wanted:
                break
            rounds.append(joined({name: run(name) for name in names}))
            if disturbed(rounds[-1]):
                print("  disturbed by other load: this round does not count", flush=True)
        return rounds, {name: run(name, memory=True)["memory"] for name in watched}


def joined(one: Round) -> Round:
    """The halves of the limit as one contestant."""
    if not HALVES.keys() <= one.keys():
        return one
    first, second = (one[name] for name in HALVES)
    limit = {
        "seconds": first["seconds"] + second["seconds"],
        "cpu": first["cpu"] + second["cpu"],
        "training": (first["training"] + second["training"]) / 2,
        "foreign": max(first["foreign"], second["foreign"]),
    }
    return {"limit": limit, **{name: cost for name, cost in one.items() if name not in HALVES}}


def disturbed(one: Round) -> bool:
    return any(cost["foreign"] > FOREIGN * (os.cpu_count() or 1) for cost in one.values())


def once(
    peer: str,
    mode: str,
    trials: int,
    project: Path,
    account: dict[str, str],
    helpers: list[int],
    memory: bool,
) -> dict[str, Any]:
    """One measured run from a clean project; what a peer times itself replaces the outer time."""
    for leftover in ("results", "wandb"):
        shutil.rmtree(project / leftover, ignore_errors=True)
    sweep = sweep_file(project, trials)
    peer, _, half = peer.partition("/")
    environment = PEERS[peer][0] if peer in PEERS else "project"
    env = variables(environment, project) | account | {"WANDB_MODE": mode}
    interpreter = str(python(environment))
    if peer == "ours":
        flags = ["--sweep", str(sweep), "--workers", "2", "--count", str(trials), "--keep", "all"]
        words = [interpreter, "-m", "hypertrain", *flags]
    elif peer in ("worker", "agent"):
        words = [interpreter, str(HERE / "peers" / PEERS[peer][1]), str(sweep), str(trials)]
    else:
        part = HALVES[f"{peer}/{half}"] if half else slice(None)
        points = command_lines(project, sweep, trials, part)
        trials = len(json.loads(points.read_text()))
        words = [interpreter, str(HERE / "peers" / PEERS[peer][1]), str(points)]
    log = CACHE / f"{peer}.log"
    cost = measure(words, project, env, log, helpers, memory)
    check(peer, cost, trials, project, log)
    found = {**asdict(cost), **said(log)}
    foreign = f"{found['foreign']:.2f} cores of other load"
    amount = f"  {cost.memory / 2**20:.0f} MiB" if cost.memory else ""
    print(
        f"  {mode} {trials} {peer}: {found['seconds']:.2f} s  {found['cpu']:.1f} CPU s{amount}"
        f"  ({foreign})",
        flush=True,
    )
    return found


def check(peer: str, cost: Cost, trials: int, project: Path, log: Path) -> None:
    """Each training leaves a checkpoint: who did less work must not look fast."""
    trained = len(list(project.glob("results/checkpoints/*.pt")))
    if cost.status or trained != trials:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        sys.exit(f"{peer}: exit status {cost.status}, {trained} of {trials} trainings\n{tail}")


def said(log: Path) -> dict[str, Any]:
    """What the peer measured itself: its last line, if that is JSON."""
    last = log.read_text(errors="replace").strip().rpartition("\n")[2]
    return dict(json.loads(last)) if last.startswith("{") else {}


def sweep_file(project: Path, trials: int) -> Path:
    """The project's own; for more trials than it has, a copy in which the seed varies too."""
    own = project / "config" / "wandb-sweep.yaml"
    if trials <= GRID:
        return own
    seeds = list(range(-(-trials // GRID)))
    longer = own.with_name(f"wandb-sweep-{trials}.yaml")
    longer.write_text(with_parameter(own, f"seed: {{values: {seeds}}}"))
    return longer


def with_parameter(sweep: Path, parameter: str) -> str:
    """The text of a sweep file whose last key is `parameters`, with one more of them."""
    return f"{sweep.read_text().rstrip()}\n  {parameter}\n"


def command_lines(project: Path, sweep: Path, trials: int, part: slice) -> Path:
    points = HERE / "peers" / "points.py"
    words = [str(python("project")), str(points), str(sweep), str(trials)]
    file = CACHE / f"points-{trials}.json"
    env = variables("project", project)
    done = subprocess.run(words, cwd=project, env=env, check=True, stdout=subprocess.PIPE)
    file.write_text(json.dumps(json.loads(done.stdout)[part]))
    return file


@contextmanager
def w_and_b(mode: str, project: Path) -> Iterator[tuple[dict[str, str], list[int]]]:
    """Variables of an account at a loopback server, and the server's pid; nothing if not online."""
    if mode != "online":
        yield {}, []
        return
    server = subprocess.Popen(
        [python("tools"), HERE / "peers" / "wandb_server.py"],
        env=variables("tools", project),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    try:
        yield json.loads(server.stdout.readline()), [server.pid]
    finally:
        server.communicate(timeout=30)
    if server.returncode:
        sys.exit("the W&B server was asked for something it does not know")


def book(project: Path) -> list[dict[str, Any]]:
    found = []
    for method in bookkeeping.SWEEPS:
        for terminal in (False, True):
            for count in bookkeeping.COUNTS:
                row = bookkeeping.measure(python("tools"), project, method, count, terminal)
                found.append(row)
                print(f"  {row}", flush=True)
    script, picture = str(HERE / "bookkeeping.py"), str(HERE / "growth.svg")
    words = [str(python("tools")), script, "plot", picture]
    subprocess.run(words, input=json.dumps(found).encode(), check=True)
    return found


def resumed(project: Path) -> list[dict[str, float | int]]:
    found = []
    for _ in range(ROUNDS):
        found.append(resume.resume(python("project"), project))
        print(f"  {found[-1]}", flush=True)
    return found


def worked(project: Path) -> dict[str, Any]:
    with w_and_b("online", project) as (account, _):
        env = variables("project", project) | account
        found = short.short(python("project"), project, env)
    print(f"  {found}", flush=True)
    return found


def searched(project: Path) -> list[dict[str, Any]]:
    words = [python("tools"), HERE / "search_quality.py"]
    env = variables("tools", project)
    found = []
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE) as process:
        for line in process.stdout or ():
            found.append(json.loads(line))
            print(f"  {found[-1]}", flush=True)
    if process.returncode:
        sys.exit("search: failed")
    return found


def where() -> str:
    """Hardware and versions, in one line."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in cpuinfo if "model name" in line), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ("torch", "wandb", "optuna", "joblib", "ray", "numpy")
    code = (
        "import sys; from importlib.metadata import version;"
        "print(*(f'{name} {version(name)}' for name in sys.argv[1:]), sep=', ')"
    )
    words = [str(python("ray")), "-c", code, *packages]
    versions = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    kernel = platform.release().partition("-")[0]
    return (
        f"{model or platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB; "
        f"Linux {kernel}, Python {platform.python_version()}, {versions}"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    everything = [*SPEED, MEMORY, *PARTS]
    add = parser.add_argument
    add("--only", type=names_of(everything), default=everything, metavar=",".join(everything))
    add("--mode", type=names_of(MODES), default=list(MODES), metavar=",".join(MODES))
    add("--trials", type=numbers, default=[GRID, 100], metavar="12,100", help="in a sweep")
    add("--epochs", type=int, help="of a trial [train.py's default]")
    add("--rounds", type=int, default=ROUNDS, help="undisturbed ones [%(default)s]")
    return parser.parse_args()


def names_of(known: Sequence[str]) -> Any:
    def parse_names(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(known)}")
        return names

    return parse_names


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    main()
