"""Checks of the user's program: it takes the sweep's parameters and logs the sweep's metric."""

import difflib
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from hypertrain import inside_wandb
from hypertrain.check import probe
from hypertrain.check.probe import Finding
from hypertrain.results.metrics import Reader
from hypertrain.search.search import new_search, params_at
from hypertrain.sweepfile.quantiles import EDGE
from hypertrain.sweepfile.space import Parameter, nest
from hypertrain.sweepfile.sweep import Sweep
from hypertrain.trial.command import command_line
from hypertrain.trial.interpreter import python_program
from hypertrain.trial.keeper import GRACE
from hypertrain.trial.process import ENDED, LOST, METRICS, OUTPUT, Event, Launch, cold_workers
from hypertrain.trial.reason import failure
from hypertrain.trial.run import ARGS, Run, agents_environment, environment, write_params
from hypertrain.warm.imports import Import, Program, read_program

PARSE, TRIAL, REST = 120.0, 600.0, 60.0
"""Seconds for the program to get to its arguments, to its first value of the metric, to its end."""
MANY = 20
"""Of a range with more values only the ends and the middle are tried."""
QUANTILES = (EDGE, *(percent / 100 for percent in range(1, 100)), 1 - EDGE)
ARGPARSE = re.compile(r"^\s*(import|from)\b.*\bargparse\b|ArgumentParser\(", re.MULTILINE)
OFFLINE = {"WANDB_MODE": "offline"}


def check_options(sweep: Sweep, root: Path, here: Path) -> Finding:
    """Let the program's own argparse read every value; nothing after that is run.

    here: a copy of the project, in which it is tried.
    """
    points = list(_points(sweep.space))
    lines = [command_line(sweep, nest(sweep.space, values), Path()) for values in points]
    program = _own_program(sweep, lines[0])
    if program is None or not program.sources:
        why = "as this Python does not run it"
        return Finding("unknown", f"{lines[0][0]}: its options cannot be checked, {why}")
    main = program.sources["__main__"].resolve().relative_to(root.resolve())
    name, unknown = main.as_posix(), f"{main.as_posix()}: its options cannot be checked"
    if not _uses_argparse(program):
        return Finding("unknown", f"{unknown}: it does not read them with argparse")
    if any(str(word).startswith("${args_json") for word in sweep.command or ()):
        return Finding("unknown", f"{unknown}: they arrive as JSON")
    task = {"program": str((here / main).resolve()), "lines": lines}
    environ = {**OFFLINE, "WANDB_DIR": str(here)}
    found, done = probe.ask_inside(_try_options, task, lines[0], here, environ, PARSE)
    if found is None:
        return Finding("unknown", f"{unknown}: {probe.reason(done)}")
    if not found["ours"]:
        return Finding("unknown", f"{unknown}: the command hands it other words")
    results = found["results"]
    left = {word.split("=")[0] for result in results for word in result["left"]}
    wrong = [_no_option(word, found["options"]) for word in sorted(left) if found["strict"]]
    wrong += dict.fromkeys(result["error"] for result in results if result["error"])
    wrong += _swapped(sweep.space, points, results)
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        told = "; ".join(wrong[:3]) + more
        return Finding("problem", f"{name}: {told}; change it there or in {sweep.path}")
    if left:
        words = ", ".join(sorted(left))
        return Finding("unknown", f"{unknown}: it reads {words} by itself (parse_known_args)")
    return Finding("ok", f"{name}: takes every parameter ({len(lines)} command lines parsed)")


def _own_program(sweep: Sweep, words: Sequence[str]) -> Program | None:
    """What the sweep file names as its program, whoever launches it; else what Python runs."""
    if sweep.program and Path(sweep.program).is_file():
        return read_program(str(sweep.program))
    command = python_program(words, probe.environment())
    return read_program(command.program, command.is_module) if command else None


def _uses_argparse(program: Program) -> bool:
    """Anywhere in the user's modules: options may be read in one of them."""
    texts = (
        file.read_text(encoding="utf-8", errors="replace") for file in program.sources.values()
    )
    return Import("argparse") in program.steps or any(ARGPARSE.search(text) for text in texts)


def _points(space: Sequence[Parameter]) -> Iterator[list[Any]]:
    """The first value of every parameter, then one after the other its other values."""
    values = [list(_values(parameter)) for parameter in space]
    first = [some[0] for some in values]
    yield first
    for i, some in enumerate(values):
        for value in some[1:]:
            yield [*first[:i], value, *first[i + 1 :]]


def _values(parameter: Parameter) -> Iterator[Any]:
    grid = parameter.grid or ()
    if isinstance(grid, list | tuple) or len(grid) <= MANY:
        yield from grid
    else:
        yield from (grid[0], grid[len(grid) // 2], grid[-1])
    if parameter.quantile:
        yield from {repr(v): v for v in map(parameter.quantile, QUANTILES)}.values()


def _no_option(word: str, options: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, options, n=1)
    return f"has no option {word}" + (f" (did you mean {near[0]}?)" if near else "")


def _swapped(
    space: Sequence[Parameter], points: Sequence[list[Any]], results: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """To argparse with `type=bool`, every text is true: False too."""
    for parameter, *values in zip(space, *points, strict=True):
        option = f"--{parameter.name}"
        for value, result in zip(values, results, strict=True):
            if isinstance(value, bool) and result["booleans"].get(option, value) != value:
                yield f"{option}={value} arrives as {not value} (type=bool takes any text for True)"
                break


def _try_options() -> None:
    """Runs in the program's process: its first call of argparse reads the lines, and all ends."""
    import argparse
    import functools
    import json
    import os
    import sys
    from pathlib import Path
    from typing import Any

    file = Path(os.environ["HYPERTRAIN_TASK"])
    task = json.loads(file.read_text())
    Parser: Any = argparse.ArgumentParser
    originals = {name: getattr(Parser, name) for name in ("parse_args", "parse_known_args")}

    def refuse(parser: Any, message: str) -> None:
        raise ValueError(message)

    def attempt(parser: Any, words: list[str]) -> dict[str, Any]:
        try:
            found, left = parser.parse_known_args(words)
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return {"error": str(error), "left": [], "booleans": {}}
        taken = {o: getattr(found, a.dest, None) for o, a in parser._option_string_actions.items()}
        return {
            "error": None,
            "left": [word for word in left if word.startswith("-")],
            "booleans": {o: value for o, value in taken.items() if isinstance(value, bool)},
        }

    def report(parser: Any, strict: bool) -> dict[str, Any]:
        for name, original in originals.items():
            setattr(Parser, name, original)
        Parser.error = refuse
        # What stands before is for the interpreter or a launcher.
        start = len(task["lines"][0]) - len(sys.argv[1:])
        return {
            "ours": task["lines"][0][start:] == sys.argv[1:],
            "strict": strict,
            "options": list(parser._option_string_actions),
            "results": [attempt(parser, line[start:]) for line in task["lines"]],
        }

    def intercept(name: str) -> None:
        @functools.wraps(originals[name])
        def parse(parser: Any, args: Any = None, namespace: Any = None) -> Any:
            given = args is None or list(args) == sys.argv[1:]
            if not given or Path(sys.argv[0]).resolve() != Path(task["program"]):
                return originals[name](parser, args, namespace)
            found = report(parser, strict=name == "parse_args")
            file.with_name("report.json").write_text(json.dumps(found))
            os._exit(0)

        setattr(Parser, name, parse)

    for name in originals:
        intercept(name)


def check_metric(sweep: Sweep, root: Path, here: Path) -> Finding:
    """Run the first trial in a copy of the project, to its end or as long as is bearable."""
    if sweep.metric is None:
        return Finding("unknown", f"{sweep.path}: names no metric, so none was looked for")
    name = sweep.metric.name
    params = params_at(sweep.space, new_search(sweep).ask(1) or [])
    folder = here / "results" / "check"
    reader = Reader(folder / METRICS, name)
    try:
        code = _run_trial(sweep, params, here, folder, reader)
    except KeyboardInterrupt:
        return Finding("unknown", f"{name}: the trial was skipped")
    why = failure(code or 0, folder / OUTPUT)
    if why and reader.values:
        return Finding("problem", f"{name}: logged by the first trial, which then fails: {why}")
    if why:
        return Finding("problem", f"{name}: the first trial fails before it is logged: {why}")
    if reader.values:
        return Finding("ok", f"{name}: logged by the first trial, {reader.values[0]:.4g} at first")
    if code is None:
        names = ", ".join(sorted(reader.names)) or "nothing"
        return Finding("unknown", f"{name}: not logged in {TRIAL:.0f} s; only {names}")
    return Finding("problem", f"{reader.missing()}; name one of its values in {sweep.path}: metric")


def _run_trial(
    sweep: Sweep, params: dict[str, Any], here: Path, folder: Path, reader: Reader
) -> int | None:
    """Exit code; None if it was still running when time was up."""
    assert sweep.metric
    folder.mkdir(parents=True)
    write_params(folder, params)
    run = Run("check", "check", sweep.project, folder, here / "results", sweep.entity)
    environ = {**environment(run, folder / METRICS), **OFFLINE}
    words = command_line(sweep, params, folder / ARGS, agents_environment(run))
    events: SimpleQueue[Event] = SimpleQueue()
    (worker,) = cold_workers(1, events)
    code = None
    try:
        worker.start(Launch(words, None, environ, str(folder / OUTPUT), str(here)))
        code = _await_end(events, reader, TRIAL)
        if code is not None:
            reader.read()
            reader.read_run(inside_wandb.read_run(run.home, run.id), sweep.metric.best)
        return code
    finally:
        worker.terminate()
        with suppress(KeyboardInterrupt):
            _await_end(events, reader, GRACE if code is None else 0)
        worker.kill()
        worker.close()
        worker.wait()


def _await_end(events: "SimpleQueue[Event]", reader: Reader, seconds: float) -> int | None:
    """The exit code, once the trial has ended; after its first value it gets no more than `REST`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if reader.read():
            until = min(until, time.monotonic() + REST)
        with suppress(Empty):
            event = events.get(timeout=0.1)
            if event.kind == ENDED:
                return int(event.about)
            if event.kind == LOST:
                return -signal.SIGKILL
    return None
