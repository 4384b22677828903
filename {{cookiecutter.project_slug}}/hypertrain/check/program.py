"""Checks of the user's program: it takes the sweep's parameters and logs the sweep's metric."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypertrain import runs
from hypertrain.check import probe
from hypertrain.check.probe import Finding
from hypertrain.results.journal import Record
from hypertrain.results.metrics import Reader
from hypertrain.search.search import new_search, params_at
from hypertrain.sweepfile.quantiles import EDGE
from hypertrain.sweepfile.space import Parameter, nest
from hypertrain.sweepfile.sweep import Sweep
from hypertrain.trial import process as trial
from hypertrain.trial import record
from hypertrain.trial.command import command_line
from hypertrain.warm.imports import imports

PARSE, TRIAL = 120.0, 600.0
"""Seconds for the program to get to its arguments, and to its first value of the metric."""
MANY = 20
"""Of a range with more values only the ends and the middle are tried."""
QUANTILES = (EDGE, *(percent / 100 for percent in range(1, 100)), 1 - EDGE)
OFFLINE = {"WANDB_MODE": "offline"}


def check_options(sweep: Sweep, root: Path) -> Finding:
    """Let the program's own argparse read every value; nothing after that is run."""
    name, program = sweep.program.as_posix(), root / sweep.program
    unknown = f"{name}: its options cannot be checked"
    if not _uses_argparse(program):
        return Finding("unknown", f"{unknown}: it does not read them with argparse")
    if any(str(word).startswith("${args_json") for word in sweep.command or ()):
        return Finding("unknown", f"{unknown}: they arrive as JSON")
    points = list(_points(sweep.space))
    lines = [command_line(sweep, nest(sweep.space, values), Path()) for values in points]
    task = {"program": str(program.resolve()), "lines": lines}
    with probe.scratch(root) as here:
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


def _uses_argparse(program: Path) -> bool:
    text = program.read_text(encoding="utf-8", errors="replace")
    own = re.search(r"^\s*(import|from)\b.*\bargparse\b|ArgumentParser\(", text, re.MULTILINE)
    return bool(own) or "argparse" in imports(program)


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


def check_metric(sweep: Sweep, root: Path) -> Finding:
    """Run the first trial until the metric is logged."""
    if sweep.metric is None:
        return Finding("unknown", f"{sweep.path}: names no metric, so none was looked for")
    name = sweep.metric.name
    params = params_at(sweep.space, new_search(sweep).ask(1) or [])
    with probe.scratch(root) as here:
        folder = here / "results" / "trials" / "1"
        reader = Reader(folder / trial.METRICS, name)
        try:
            status = _run_trial(sweep, params, here, folder, reader)
        except KeyboardInterrupt:
            return Finding("unknown", f"{name}: the trial was skipped")
        failure = trial.failure(status or 0, folder)
    if reader.values:
        return Finding("ok", f"{name}: logged by the first trial, {reader.values[0]:.4g} at first")
    if failure:
        return Finding("problem", f"{name}: the first trial fails before it is logged: {failure}")
    if status is None:
        names = ", ".join(sorted(reader.names)) or "nothing"
        return Finding("unknown", f"{name}: not logged in {TRIAL:.0f} s; only {names}")
    return Finding("problem", f"{reader.missing()}; name one of its values in {sweep.path}: metric")


def _run_trial(
    sweep: Sweep, params: dict[str, Any], here: Path, folder: Path, reader: Reader
) -> int | None:
    """Exit status; None if it was still running when the metric came or time was up."""
    folder.mkdir(parents=True)
    runs.write_params(folder, params)
    package = Path(__file__).parents[1]
    environ = {
        **probe.environment(package / "trial" / "inject"),
        **runs.environment(sweep, Record(1, [], params), here / "results"),
        **OFFLINE,
        record.FILE: str(folder / trial.METRICS),
        "HYPERTRAIN_ROOT": str(package.parent),
    }
    words = command_line(sweep, params, folder / runs.ARGS)
    with (folder / trial.OUTPUT).open("wb") as output:
        process = probe.start(words, here, environ, output, output)
    try:
        probe.wait(lambda: bool(reader.read()) or process.poll() is not None, TRIAL)
        status = process.poll()
        reader.read()
        return status
    finally:
        process.terminate()
        with suppress(KeyboardInterrupt):
            probe.wait(lambda: process.poll() is not None, trial.GRACE)
        probe.kill(process)
