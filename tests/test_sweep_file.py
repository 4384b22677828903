"""Sweep files: what W&B takes is taken, what is wrong is refused in one line, nothing crashes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypertrain import UserError
from hypertrain.search.search import new_search, params_at
from hypertrain.sweepfile.sweep import Metric, Sweep, from_mapping, load
from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_files import load_text
from sweeps.config import schema_violations_from_proposed_config

GUIDE = """
program: train.py
project: hyperparameter-tuning-test
method: grid
metric:
  name: accuracy01/valid
  goal: maximize
parameters:
  lr:
    values: [0.1, 0.01, 0.001]
  optimizer:
    values: ['sgd', 'adam']
  scheduler:
    values: ['const', 'cosine']
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


def accepted_by_wandb(text: str) -> bool:
    """Whether W&B's own engine finds no fault with the file."""
    try:
        return not schema_violations_from_proposed_config(yaml.safe_load(text))
    except Exception:
        return False


def refusals(root: Path, text: str | bytes) -> list[str]:
    """The lines that refuse the file, one a problem, without its name and their line's number."""
    with pytest.raises(UserError) as refused:
        load_text(root, text)
    lines, name = str(refused.value).splitlines(), f"{root / 'sweep.yaml'}: "
    assert lines
    assert all(line.startswith(name) and line.isprintable() for line in lines)
    return [re.sub(r"^line \d+: ", "", line.removeprefix(name)) for line in lines]


def whole(x: str = "{value: 1}", **keys: str) -> str:
    """A sweep file in YAML, with one parameter `x` and some keys changed."""
    given = {"program": "train.py", "method": "random", "parameters": f"{{x: {x}}}", **keys}
    return "".join(f"{key}: {value}\n" for key, value in given.items())


# --- Good files

GOOD = {
    "the guide's": GUIDE,
    "short": whole(),
    "no goal": whole(metric="{name: loss}"),
    "all keys": whole(
        metric="{name: loss, goal: minimize}",
        command="['${env}', python, '${program}', '${args}', 3, 'true']",
        early_terminate="{type: hyperband, min_iter: 3, eta: 2, strict: false}",
        run_cap="30",
        name="a name",
        project="a-project",
        entity="a-team",
        description="what it is for",
    ),
    "hyperband downwards": whole(
        metric="{name: loss}", early_terminate="{type: hyperband, max_iter: 27, s: 2}"
    ),
    "bayes": whole("{min: 0.0, max: 1.0}", method="bayes", metric="{name: loss}"),
    "nested": whole("{parameters: {y: {parameters: {z: {values: [1]}}}, w: {value: 2}}}"),
    "anchors": whole("{value: &a [1, 2]}, y: {value: *a}"),
    "merged": whole("&x {min: 0, max: 3}, y: {<<: *x, max: 4}"),
    "flow and quotes": whole('{"values": ["a: b", \'#c\', "\\u00e9"]}'),
    "odd names": whole("{value: 1}, _y: {value: 1}, a.b-c_D9: {value: 1}"),
    "words that are numbers or not": whole("{values: [1.0e-4, 1e-4, yes, ~, 0x10, .5, '1']}"),
    "big numbers": whole("{min: -9007199254740991, max: 0}"),
    "all that W&B ignores": whole(
        apiVersion="'1'",
        kind="sweep",
        controller="{type: cloud}",
        scheduler="{engine: wandb}",
        job="''",
    ),
    "empty texts": whole(name="''", project="''", entity="' '", description="''", command="[]"),
    "a target": whole(
        metric="{name: loss, target: 3, impute: best, impute_while_running: 'false'}"
    ),
    "numbers with a point": whole(
        metric="{name: loss}", early_terminate="{type: hyperband, max_iter: 27.0, s: 2.0}"
    ),
    "s beside min_iter": whole(
        metric="{name: loss}", early_terminate="{type: hyperband, min_iter: 3, s: 2}"
    ),
    "a program that the command does not name": whole(
        program="nowhere.py", command="[python, train.py, '${args}']"
    ),
    "BOM": "\ufeff" + whole(),
    "Windows line ends": GUIDE.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_files(name: str, root: Path) -> None:
    assert accepted_by_wandb(GOOD[name])
    sweep = load_text(root, GOOD[name])
    assert sweep.raw == yaml.safe_load(GOOD[name])
    point = new_search(sweep).ask(1)
    assert params_at(sweep.space, point or []).keys() == sweep.raw["parameters"].keys()


def test_what_the_search_is_told_of_the_metric(root: Path) -> None:
    told = "{name: loss, goal: maximize, target: 0.5, impute: latest, impute_while_running: best}"
    metric = load_text(root, whole(metric=told)).metric
    assert metric == Metric("loss", "maximize", 0.5, "latest", "best")
    assert [metric.reaches_target(value) for value in (0.4, 0.5, 0.6)] == [False, True, True]
    plain = load_text(root, whole(metric="{name: loss, impute_while_running: false}")).metric
    assert plain == Metric("loss", "minimize", None, "worst", None)
    assert not plain.reaches_target(0.0)


def test_what_the_server_is_sent(root: Path) -> None:
    """Its own search, whatever engine of W&B's would run it; no keys that only hold anchors."""
    text = whole(**{"x-range": "{min: 0}"}, scheduler="{engine: wandb}", kind="sweep")
    sweep = load_text(root, text.replace("train.py", "/project/train.py"))
    whole_file = yaml.safe_load(whole(kind="sweep"))
    assert sweep.sent == whole_file
    assert accepted_by_wandb(yaml.safe_dump(sweep.sent))


HELD = {
    "program": "gone.py",
    "method": "custom",
    "metrics": [{"name": "loss", "goal": "maximize", "target": 3}, {"name": "size"}],
    "controller": {"type": "local"},
    "scheduler": {"engine": "ax", "search_space": "f", "source": "a.py"},
    "colour": "red",
    "job": "team/job:latest",
    "early_terminate": {"type": "envelope"},
    "parameters": {"x": {"values": [1, 2]}, "y": {"min": "low"}, "z": {"a": {"value": 1}}},
}


@pytest.mark.parametrize("left_out", [None, *HELD])
def test_a_sweep_that_wandb_holds_is_read(left_out: str | None) -> None:
    """Its program is gone, nothing here could run it: its trials are shown nonetheless."""
    raw = {key: value for key, value in HELD.items() if key != left_out}
    sweep = from_mapping(Path("team/project/abc123"), raw)
    assert (sweep.metric is None) == (left_out == "metrics")
    assert [p.name for p in sweep.space] == ([] if left_out == "parameters" else ["x", "y", "z"])
    assert sweep.named == (None if left_out == "program" else "gone.py")


def test_a_goal_that_wandb_lets_pass_is_minimize() -> None:
    raw = {"method": "bayes", "metric": {"name": "loss", "goal": "max"}, "parameters": {}}
    assert from_mapping(Path("a/b/c"), raw).metric == Metric("loss", "minimize")


def test_what_is_read(root: Path) -> None:
    sweep = load_text(root, GUIDE + "run_cap: 5\nname: first\nentity: team\n")
    assert (sweep.method, sweep.program, sweep.run_cap) == ("grid", Path("train.py"), 5)
    assert sweep.metric == Metric("accuracy01/valid", "maximize")
    assert [parameter.name for parameter in sweep.space] == ["lr", "optimizer", "scheduler"]
    assert (sweep.name, sweep.project) == ("first", "hyperparameter-tuning-test")
    assert (sweep.entity, sweep.command, sweep.bands) == ("team", None, None)


def test_project_and_name_have_defaults(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    sweep = load_text(root, whole())
    assert (sweep.name, sweep.project, sweep.entity) == ("sweep", root.name, None)
    monkeypatch.setenv("WANDB_PROJECT", "from-the-environment")
    assert load_text(root, whole()).project == "from-the-environment"
    assert load_text(root, whole(project="mine")).project == "mine"


def test_metric() -> None:
    assert Metric("m", "minimize").best([2.0, 1.0, 3.0]) == 1.0
    assert Metric("m", "maximize").best([2.0, 1.0, 3.0]) == 3.0


@pytest.mark.parametrize(
    ("program", "read"),
    [
        ("train.py", "train.py"),
        ("./train.py", "train.py"),
        ("code/../code/x.py", "code/x.py"),
        ("/project/code/x.py", "code/x.py"),
        ("{root}/code/x.py", "code/x.py"),
    ],
)
def test_program(program: str, read: str, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "x.py").touch()
    sweep = load_text(tmp_path, whole(program=program.format(root=tmp_path)))
    assert sweep.program == Path(read)


def test_program_of_a_project_that_lies_in_project(tmp_path: Path) -> None:
    """On the platform the root itself is /project, or a link leads to it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    sweep = load_text(tmp_path / "link", whole(program=str(tmp_path / "link" / "train.py")))
    assert sweep.program == Path("train.py")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a package, a script that can be executed and one that cannot."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    root = tmp_path / "project"
    for name in ("train.py", "pkg/train.py", "pkg/__main__.py", "tools/run.sh", "run.sh"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "run.sh").chmod(0o755)
    (tmp_path / "outside.py").touch()
    return root


MODULE = "['${env}', python, -m, '${program}', '${args}']"
DIRECT = "['${env}', '${program}', '${args}']"
RUNS = [
    ("train.py", None, "train.py"),
    ("./train.py", "[accelerate, launch, '${program}', '${args}']", "train.py"),
    ("pkg", None, "pkg/__main__.py"),
    ("pkg\\train.py", None, "pkg/train.py"),
    ("pkg.train", MODULE, "pkg/train.py"),
    ("pkg", MODULE, "pkg/__main__.py"),
    ("pkg.train", "[torchrun, --module, '${program}', '${args}']", "pkg/train.py"),
    ("json.tool", MODULE, "json.tool"),
    ("any.thing", "['${env}', PYTHONPATH=src, python, -m, '${program}', '${args}']", "any.thing"),
    ("any.thing", "[conda, run, python, -m, '${program}', '${args}']", "any.thing"),
    ("./run.sh", DIRECT, "run.sh"),
    ("env", DIRECT, "env"),
    ("train", "[poetry, run, '${program}', '${args}']", "train"),
    (None, "[python, -u, -W, ignore, train.py, '${args}']", "train.py"),
    (None, "['${interpreter}', -m, pkg.train, '${args}']", "pkg/train.py"),
    (None, "[python, -c, pass, '${args}']", "python -c pass"),
    (None, "[./run.sh, '${args}']", "run.sh"),
    ("../outside.py", None, "{root}/outside.py"),
]


@pytest.mark.parametrize(("named", "command", "program"), RUNS)
def test_programs_of_all_kinds(
    named: str | None, command: str | None, program: str, project: Path
) -> None:
    text = whole(**({"program": f"'{named}'"} if named else {"program": "~"}))
    sweep = load_text(project, text + (f"command: {command}\n" if command else ""))
    assert sweep.program == Path(program.format(root=project.parent))
    assert sweep.named == (named.replace("\\", "/") if named else None)


NOT_RUN = [
    (
        "pkg.train",
        None,
        f"program: there is no file pkg.train; to run a module write `command: {MODULE}`",
    ),
    (
        "-m pkg.train",
        None,
        "program: there is no file -m pkg.train; write `program: pkg.train` and `command: [",
    ),
    ("pkg.trian", MODULE, "program: there is no module pkg.trian; write `program: pkg.train`"),
    ("nothing.like.it", MODULE, "program: there is no module nothing.like.it; name one below "),
    (
        "tools/run.sh",
        DIRECT,
        "program: tools/run.sh cannot be executed; run `chmod +x tools/run.sh`",
    ),
    ("run.sh", DIRECT, "program: there is no command run.sh on PATH; write `program: ./run.sh`"),
    ("surely-not-here", DIRECT, "program: there is no command surely-not-here on PATH; install it"),
    (
        "nowhere/at/all.py",
        None,
        "program: there is no file nowhere/at/all.py; use a path relative to",
    ),
    (None, "[python, trian.py, '${args}']", "command: there is no file trian.py; write train.py"),
    (
        None,
        "[python train.py, '${args}']",
        "command: python train.py is one word; write each for its",
    ),
]


@pytest.mark.parametrize(("named", "command", "line"), NOT_RUN)
def test_programs_that_cannot_run(
    named: str | None, command: str | None, line: str, project: Path
) -> None:
    text = whole(**({"program": f"'{named}'"} if named else {"program": "~"}))
    assert refusals(project, text + (f"command: {command}\n" if command else ""))[0].startswith(
        line
    )


def test_what_is_followed_runs(project: Path) -> None:
    """The remedies of the programs above."""
    (project / "tools/run.sh").chmod(0o755)
    for named, command in [
        ("pkg.train", MODULE),
        ("tools/run.sh", DIRECT),
        ("./run.sh", DIRECT),
        ("train.py", "[python, train.py, '${args}']"),
    ]:
        assert load_text(project, whole(program=named, command=command)).named == named


DOUBTS = [
    (
        "[surely-not-here, '${program}', '${args}']",
        "there is no command surely-not-here on this mach",
    ),
    (
        "[~/bin/python-x, '${program}', '${args}']",
        "~ is not expanded here; write ${envvar:HOME}/bin/",
    ),
    ("[python, '${program}', $HOME, '${args}']", "what W&B expands is ${envvar:HOME}"),
    ("[python, '${program}', 'x=${args}', '${args}']", "a macro is a word of its own"),
    ("[python, '${program}']", "the program is told its parameters by wandb.config alone"),
    ("[python, ../outside.py, '${args}']", ""),
    ("[sh, -c, 'python $0 $HOME', '${program}', '${args}']", ""),
]


@pytest.mark.parametrize(("command", "text"), DOUBTS)
def test_commands_that_are_taken_with_a_warning(command: str, text: str, project: Path) -> None:
    warnings = load_text(project, whole(command=command)).warnings
    assert len(warnings) == bool(text)
    assert all(text in line and "sweep.yaml: line 4: command: " in line for line in warnings)


def test_a_program_outside_is_told_from_one_inside(project: Path) -> None:
    (warning,) = load_text(project, whole(program="../outside.py")).warnings
    assert "program: ../outside.py lies outside the project" in warning


CHANGES = [
    ("program", "other.py"),
    ("method", "bayes"),
    ("metric", "{name: accuracy}"),
    ("parameters", "{x: {min: 0, max: 2}}"),
    ("command", "[python, '${program}']"),
    ("early_terminate", "{type: hyperband, min_iter: 1}"),
]
BASE = {"x": "{min: 0, max: 1}", "metric": "{name: loss}"}


@pytest.mark.parametrize(("key", "value"), CHANGES)
def test_another_search_has_another_id(key: str, value: str, root: Path) -> None:
    (root / "other.py").touch()
    assert load_text(root, whole(**BASE | {key: value})).id != load_text(root, whole(**BASE)).id


def test_what_does_not_change_the_search_keeps_the_id(root: Path) -> None:
    same = [
        whole(**BASE, run_cap="3", name="n", project="p", entity="e", description="d"),
        whole(**BASE | {"program": "/project/train.py"}),
        "# a comment\n" + "\n".join(reversed(whole(**BASE).splitlines())),
    ]
    assert {load_text(root, text).id for text in same} == {load_text(root, whole(**BASE)).id}


# --- Wrong files: what is said first, and a file in which the remedy was followed

DOUBLING = [f"&a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
NEEDS = "give `value: ...`, `values: [...]` or `min: ...` and `max: ...`"
UNIT = "{min: 0.0, max: 1.0}"
TOP = "give it program, method and parameters"
WRONG = {
    "empty": ("", f"is empty; {TOP}", whole()),
    "a list": ("[1, 2]", f"holds no keys; {TOP}", whole()),
    "text": ("hello", f"holds no keys; {TOP}", whole()),
    "no YAML": ("a: [1,\nb: }", "the bracket that opens here is never closed", whole()),
    "a tab": ("a:\n\tb: 1", "is indented by a tab, which YAML does not allow", whole()),
    "unknown key": (
        whole(colour="red"),
        "colour: is not supported; remove it, or write `colour: {value: red}` below `parameters:`",
        whole("{value: 1}, colour: {value: red}"),
    ),
    "unknown keys": (
        whole(colour="{red: 1}"),
        "colour: is not supported; remove it, or write x-colour if it only holds anchors",
        whole(**{"x-colour": "{red: 1}"}),
    ),
    "no method": (whole(method="~"), "method: must be one of grid, random, bayes, not N", whole()),
    "method": (whole(method="hyperopt"), "method: must be one of grid, random, bayes", whole()),
    "no parameters": (
        "program: train.py\nmethod: grid",
        "parameters: give at least one parameter, as `lr: {values: [0.1, 0.01]}`",
        whole(),
    ),
    "empty parameters": (whole(parameters="{}"), "parameters: give at least one parame", whole()),
    "parameters a list": (whole(parameters="[lr]"), "parameters: give at least one para", whole()),
    "parameter a number": (whole("3"), "parameters.x: write `x: {value: 3}`", whole("{value: 3}")),
    "parameter a text": (
        whole("values:1"),
        "parameters.x: a blank is missing after values:; write `values: 1`",
        whole("{values: [1]}"),
    ),
    "parameter empty": (whole("~"), f"parameters.x: is empty; {NEEDS}", whole("{value: ~}")),
    "parameter without values": (whole("{}"), f"parameters.x: {NEEDS}", whole("{values: [1]}")),
    "min without max": (whole("{min: 1}"), "parameters.x.max: is missing; ", whole(UNIT)),
    "name": (whole("{value: 1}, '': {value: 1}"), "parameters.: '' is no name of an opt", whole()),
    "name of two lines": (
        whole('{value: 1}, "a\\nb": {value: 1}'),
        "parameters.a b: 'a\\nb' is no name of an option; write a word",
        whole("{value: 1}, a b: {value: 1}"),
    ),
    "no values": (whole("{values: []}"), "parameters.x.values: must be a list of", whole()),
    "values a text": (
        whole("{values: abc}"),
        "parameters.x.values: must be a list of at least one value, not 'abc'; write `values: [",
        whole("{values: [abc]}"),
    ),
    "typo": (
        whole("{values: [1], vaules: [2]}"),
        "parameters.x.vaules: does not belong here; remove it (this distribution has: distributio",
        whole("{values: [1]}"),
    ),
    "typo alone": (
        whole("{vaules: [2]}"),
        "parameters.x.vaules: is no word of W&B's; write values",
        whole("{values: [2]}"),
    ),
    "typo deeper": (
        whole("{parameters: {y: {value: 1, q: 2}}}"),
        "parameters.x.y.q: does not belong here; remove it (this distribution has: distribution, ",
        whole("{parameters: {y: {value: 1}}}"),
    ),
    "parameters and more": (
        whole("{parameters: {y: {value: 1}}, value: 2}"),
        "parameters.x.value: does not belong beside `parameters:`; remove it",
        whole("{parameters: {y: {value: 1}}}"),
    ),
    "distribution": (
        whole("{distribution: trapeze, min: 0, max: 1}"),
        "parameters.x.distribution: 'trapeze' is unknown; write one of: constant, categorical,",
        whole("{distribution: uniform, min: 0, max: 1}"),
    ),
    "distribution by another name": (
        whole("{distribution: gauss}"),
        "parameters.x.distribution: 'gauss' is unknown; write normal",
        whole("{distribution: normal}"),
    ),
    "distribution a list": (
        whole("{distribution: [normal]}"),
        "parameters.x.distribution: ['normal'] is unknown; write normal",
        whole("{distribution: normal}"),
    ),
    "no distribution": (
        whole("{mu: 0, sigma: 1}"),
        "parameters.x.mu: needs a distribution; add `distribution: normal`",
        whole("{distribution: normal, mu: 0, sigma: 1}"),
    ),
    "words of another tool": (
        whole("{distribution: normal, mean: 0, std: 1}"),
        "parameters.x.mean: is no word of W&B's; write mu",
        whole("{distribution: normal, mu: 0, sigma: 1}"),
    ),
    "constant without value": (
        whole("{distribution: constant}"),
        "parameters.x.value: is missing; write `value: ` and the value",
        whole("{distribution: constant, value: 3}"),
    ),
    "no bounds": (
        whole("{distribution: uniform, min: 1}"),
        "parameters.x.max: is missing; write `max: ` and a number",
        whole("{distribution: uniform, min: 1, max: 2}"),
    ),
    "bounds": (
        whole("{min: 3, max: 3}"),
        "parameters.x.min: 3 must be less than max 3; for one value write `value: 3`",
        whole("{value: 3}"),
    ),
    "bounds the other way": (
        whole("{min: 1.5, max: -1}"),
        "parameters.x.min: 1.5 must be less than max -1; swap them",
        whole("{min: -1, max: 1.5}"),
    ),
    "text bound": (
        whole("{min: 1e-6, max: 1}"),
        "parameters.x.min: '1e-6' is text to YAML; write 1.0e-06",
        whole("{min: 1.0e-06, max: 1}"),
    ),
    "word bound": (
        whole("{min: zero, max: 1}"),
        "parameters.x.min: 'zero' is text to YAML; write a number, such as 1.0e-4",
        whole("{min: 1.0e-4, max: 1}"),
    ),
    "bool bound": (
        whole("{min: no, max: yes}"),
        "parameters.x.min: False is not a number that",
        whole("{min: 0, max: 1}"),
    ),
    "empty bound": (whole("{min: ~, max: 1}"), "parameters.x.min: is missing", whole(UNIT)),
    "float bounds of int_uniform": (
        whole("{distribution: int_uniform, min: 0.5, max: 3}"),
        "parameters.x.min: 0.5 must be a whole number for int_uniform; write distribution: uniform",
        whole("{distribution: uniform, min: 0.5, max: 3}"),
    ),
    "log of 0": (
        whole("{distribution: log_uniform_values, min: 0, max: 1}"),
        "parameters.x.min: must be greater than 0, not 0",
        whole("{distribution: log_uniform_values, min: 0.1, max: 1}"),
    ),
    "q": (
        whole("{distribution: q_normal, q: 0}"),
        "parameters.x.q: must be greater than 0, not 0",
        whole("{distribution: q_normal, q: 1}"),
    ),
    "q without its distribution": (
        whole("{distribution: uniform, min: 0, max: 1, q: 0.1}"),
        "parameters.x.q: needs `distribution: q_uniform`",
        whole("{distribution: q_uniform, min: 0, max: 1, q: 0.1}"),
    ),
    "sigma": (
        whole("{distribution: normal, sigma: -1}"),
        "parameters.x.sigma: must be greater than 0, not -1",
        whole("{distribution: normal, sigma: 1}"),
    ),
    "beta": (
        whole("{distribution: beta, a: -1}"),
        "parameters.x.a: must be greater than 0, not -1",
        whole("{distribution: beta, a: 1}"),
    ),
    "probabilities": (
        whole("{values: [1, 2], probabilities: [0.5, 0.4]}"),
        "parameters.x.probabilities: must add up to 1, not 0.9",
        whole("{values: [1, 2], probabilities: [0.5, 0.5]}"),
    ),
    "probabilities short": (
        whole("{values: [1, 2], probabilities: [1]}"),
        "parameters.x.probabilities: needs 2 numbers, one for each value",
        whole("{values: [1, 2], probabilities: [1, 0]}"),
    ),
    "probabilities negative": (
        whole("{values: [1, 2], probabilities: [2, -1]}"),
        "parameters.x.probabilities: must be numbers from 0 to 1",
        whole("{values: [1, 2], probabilities: [1, 0]}"),
    ),
    "metric a text": (
        whole(metric="loss"),
        "metric: must be a mapping; write `metric: {name: loss, goal: minimize}`",
        whole(metric="{name: loss, goal: minimize}"),
    ),
    "metric without name": (
        whole(metric="{goal: minimize}"),
        "metric.name: is missing; name a value that the program logs",
        whole(metric="{name: loss}"),
    ),
    "goal": (
        whole(metric="{name: loss, goal: min}"),
        "metric.goal: must be minimize or maximize, not 'min'; write minimize",
        whole(metric="{name: loss, goal: minimize}"),
    ),
    "target": (
        whole(metric="{name: loss, target: 1e-3}"),
        "metric.target: must be a number, not '1e-3'; write 0.001",
        whole(metric="{name: loss, target: 0.001}"),
    ),
    "impute": (
        whole(metric="{name: loss, impute: mean}"),
        "metric.impute: must be worst, latest or best, not 'mean'",
        whole(metric="{name: loss, impute: worst}"),
    ),
    "metric's key": (
        whole(metric="{name: loss, aim: minimize}"),
        "metric.aim: is not supported; remove it (supported: name, goal, target, impute, impute_",
        whole(metric="{name: loss}"),
    ),
    "metric's misspelt key": (
        whole(metric="{nmae: loss}"),
        "metric.nmae: is not supported; write name",
        whole(metric="{name: loss}"),
    ),
    "command a text": (
        whole(command="python train.py"),
        "command: must be a list; write `command: [python, train.py, '${args}']`",
        whole(command="[python, train.py, '${args}']"),
    ),
    "command a number": (
        whole(command="3"),
        "command: must be a list; write `command: ['${env}', '${interpreter}', '${program}', '${ar",
        whole(command="['${env}', '${interpreter}', '${program}', '${args}']"),
    ),
    "run_cap": (
        whole(run_cap="0"),
        "run_cap: must be a whole number from 1 to 1000000000, not 0",
        whole(run_cap="1"),
    ),
    "run_cap a text": (
        whole(run_cap="'10'"),
        "run_cap: must be a whole number from 1 to 1000000000, not '10'; write 10",
        whole(run_cap="10"),
    ),
    "run_cap a bool": (
        whole(run_cap="true"),
        "run_cap: must be a whole number from 1 to 1000000000, not True",
        whole(run_cap="1"),
    ),
    "project": (
        whole(project="3"),
        'project: must be text, not 3; write `project: "3"`',
        whole(project='"3"'),
    ),
    "name of the sweep": (
        whole(name="[a]"),
        "name: must be text, not ['a']",
        whole(name="a"),
    ),
    "description": (
        whole(description="3"),
        'description: must be text, not 3; write `description: "3"`',
        whole(description='"3"'),
    ),
    "program a number": (
        whole(program="3"),
        'program: must be text, not 3; write `program: "3"`',
        whole(program="train.py"),
    ),
    "kind": (whole(kind="job"), "kind: must be sweep, not 'job'; write sweep", whole(kind="sweep")),
    "controller": (
        whole(controller="local"),
        "controller: must be `{type: cloud}`; write this or remove it",
        whole(controller="{type: cloud}"),
    ),
    "scheduler": (
        whole(scheduler="{engine: hyperopt}"),
        "scheduler: must be `{engine: wandb}`; write this or remove it",
        whole(scheduler="{engine: wandb}"),
    ),
    "scheduler's key": (
        whole(scheduler="{engine: wandb, workers: 3}"),
        "scheduler.workers: is not supported; remove it (supported: engine, source, optimizer, sea",
        whole(scheduler="{engine: wandb}"),
    ),
    "scheduler and hyperband": (
        whole(
            metric="{name: loss}",
            scheduler="{engine: wandb}",
            early_terminate="{type: hyperband, min_iter: 1}",
        ),
        "scheduler: does not go with early_terminate; remove it, the search stays the same",
        whole(metric="{name: loss}", early_terminate="{type: hyperband, min_iter: 1}"),
    ),
}


def early(**keys: str) -> str:
    text = ", ".join(f"{key}: {value}" for key, value in keys.items())
    return whole(metric="{name: loss}", early_terminate=f"{{{text}}}")


BANDS_OF_3 = early(type="hyperband", min_iter="3")
WRONG |= {
    "early_terminate": (
        early(min_iter="3"),
        "early_terminate.type: must be hyperband, not None; write `type: hyperband`",
        BANDS_OF_3,
    ),
    "early_terminate a text": (
        whole(metric="{name: loss}", early_terminate="hyperband"),
        "early_terminate: must be a mapping; write `early_terminate: {type: hyperband,",
        BANDS_OF_3,
    ),
    "another type": (
        early(type="median", min_iter="3"),
        "early_terminate.type: must be hyperband, not 'median'; write `type: hyperband`",
        BANDS_OF_3,
    ),
    "no bands": (
        early(type="hyperband"),
        "early_terminate: give either max_iter and s, or min_iter, as `min_iter: 3`",
        BANDS_OF_3,
    ),
    "max_iter alone": (
        early(type="hyperband", max_iter="26", eta="5"),
        "early_terminate: max_iter needs s, the number of bands; add `s: 2`",
        early(type="hyperband", max_iter="26", eta="5", s="2"),
    ),
    "small max_iter alone": (
        early(type="hyperband", max_iter="2"),
        "early_terminate: max_iter needs s, the number of bands; write `min_iter: 1` instead",
        early(type="hyperband", min_iter="1"),
    ),
    "min_iter": (
        early(type="hyperband", min_iter="0"),
        "early_terminate.min_iter: must be a whole number from 1 to 1000000000, not 0",
        early(type="hyperband", min_iter="1"),
    ),
    "eta": (
        early(type="hyperband", min_iter="1", eta="1"),
        "early_terminate.eta: must be a number greater than 1, not 1",
        early(type="hyperband", min_iter="1", eta="2"),
    ),
    "eta a text": (
        early(type="hyperband", min_iter="1", eta="1e1"),
        "early_terminate.eta: must be a number greater than 1, not '1e1'; write 10.0",
        early(type="hyperband", min_iter="1", eta="10.0"),
    ),
    "strict": (
        early(type="hyperband", min_iter="1", strict="1"),
        "early_terminate.strict: must be true or false, not 1",
        early(type="hyperband", min_iter="1", strict="true"),
    ),
    "hyperband's key": (
        early(type="hyperband", min_iter="1", steps="3"),
        "early_terminate.steps: is not supported; remove it (supported: type, min_iter, max_iter,",
        early(type="hyperband", min_iter="1"),
    ),
    "hyperband's misspelt key": (
        early(type="hyperband", min_iters="1"),
        "early_terminate.min_iters: is not supported; write min_iter",
        early(type="hyperband", min_iter="1"),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(name: str, root: Path) -> None:
    text, line, right = WRONG[name]
    assert refusals(root, text)[0].startswith(line)
    assert not accepted_by_wandb(text)
    assert load_text(root, right).space


# --- Files that W&B's engine takes, and why they are refused here

STRICTER = {
    "the controller would be the user's": (
        whole(controller="{type: local}"),
        "controller.type: python -m hypertrain searches on this machine by itself; remove controll",
        whole(),
    ),
    "another engine": (
        whole(method="custom", scheduler="{engine: optuna}"),
        "scheduler.engine: optuna runs in W&B's sweep-scheduler alone; remove scheduler and write",
        whole(method="bayes", metric="{name: loss}"),
    ),
    "a search of the user's": (
        whole(method="custom", scheduler="{engine: ax, source: a.py, search_space: f}"),
        "scheduler.engine: ax runs in W&B's sweep-scheduler alone; remove scheduler and write `met",
        whole(method="bayes", metric="{name: loss}"),
    ),
    "several objectives": (
        whole(method="custom", scheduler="{engine: ax}", metrics="[{name: a}, {name: b}]"),
        "scheduler.engine: ax runs in W&B's sweep-scheduler alone; remove scheduler and write `met",
        whole(method="bayes", metric="{name: loss, goal: minimize}"),
    ),
    "a container": (
        whole(image_uri="image:latest"),
        "image_uri: is for W&B Launch, not for agents; remove it",
        whole(),
    ),
    "a float of run_cap": (whole(run_cap="5.0"), "run_cap: 5.0 is no whole", whole(run_cap="5")),
    "nothing to run": (
        "method: grid\nparameters: {x: {value: 1}}",
        "program: is missing; name the training script, as `program: modules/train.py`",
        whole(),
    ),
    "an empty program": (whole(program="''"), "program: is missing; name the train", whole()),
    "no such program": (
        whole(program="trian.py"),
        "program: there is no file trian.py; write `program: train.py`",
        whole(),
    ),
    "program a folder": (whole(program="."), "program: there is no file .; use a path", whole()),
    "program no path": (whole(program='"a\\0b"'), "'ab' holds a character that no comm", whole()),
    "program too long": (whole(program="a" * 5000), "program: there is no file aaaaaaa", whole()),
    "bayes needs a metric": (
        whole(method="bayes"),
        "metric: is needed by method: bayes; add `metric: {name: ..., goal: ...}`",
        whole(method="bayes", metric="{name: loss, goal: minimize}"),
    ),
    "hyperband needs a metric": (
        whole(early_terminate="{type: hyperband, min_iter: 1}"),
        "metric: is needed by early_terminate; add `metric:",
        early(type="hyperband", min_iter="1"),
    ),
    "the metric has no name": (
        whole(metric="{name: ''}"),
        "metric.name: is missing",
        whole(metric="{name: loss}"),
    ),
    "no grid over a range": (
        whole("{min: 0.0, max: 1.0}", method="grid"),
        "parameters.x: a grid needs `values: [...]`, whole numbers from min to max, or q_uniform",
        whole("{distribution: q_uniform, min: 0.0, max: 1.0, q: 0.1}", method="grid"),
    ),
    "no grid over a range below": (
        whole("{parameters: {y: {min: 0.0, max: 1.0}}}", method="grid"),
        "parameters.x.y: a grid needs `values: [...]`, whole numbers from min to max, or q_uniform",
        whole("{parameters: {y: {min: 0, max: 1}}}", method="grid"),
    ),
    "no grid over chances": (
        whole("{values: [1], probabilities: [1]}", method="grid"),
        "parameters.x: a grid needs `values: [...]`",
        whole("{values: [1]}", method="grid"),
    ),
    "a list is no word": (
        whole(command="[python, [a]]"),
        "command: ['a'] is not one word; quote",
        whole(command="[python, '[a]', '${program}']"),
    ),
    "max_iter makes min_iter void": (
        early(type="hyperband", max_iter="27", s="2", min_iter="1"),
        "early_terminate.min_iter: W&B leaves min_iter out beside max_iter and s; remove it",
        early(type="hyperband", max_iter="27", s="2"),
    ),
    "max_iter without s is an error later": (
        early(type="hyperband", max_iter="27", min_iter="1"),
        "early_terminate: max_iter needs s, the number of bands; remove max_iter, or remove min_it",
        early(type="hyperband", min_iter="1"),
    ),
    "no band is left": (
        early(type="hyperband", max_iter="2", s="2"),
        "early_terminate: no band is left; raise max_iter or lower eta",
        early(type="hyperband", max_iter="3", s="2"),
    ),
    "half a band": (
        early(type="hyperband", max_iter="27", s="1.5"),
        "early_terminate.s: must be a whole number from 1 to 100, not 1.5",
        early(type="hyperband", max_iter="27", s="1"),
    ),
    "bands without an end": (
        early(type="hyperband", max_iter="27", s="2000000000"),
        "early_terminate.s: must be a whole number from 1 to 100, not 2000000000",
        early(type="hyperband", max_iter="27", s="100"),
    ),
    "every draw the same": (
        whole("{distribution: normal, sigma: 0}"),
        "parameters.x.sigma: must be greater than 0, not 0",
        whole("{distribution: normal, sigma: 1}"),
    ),
    "not a number": (
        whole("{min: .nan, max: 1.0}"),
        "parameters.x.min: nan is not a number that a float can hold; write one",
        whole(UNIT),
    ),
    "without bounds": (
        whole("{min: -.inf, max: 1.0}"),
        "parameters.x.min: -inf is not a number that a float can hold; write one",
        whole(UNIT),
    ),
    "more than a float holds": (
        whole("{min: 0, max: 1" + "0" * 400 + "}"),
        "parameters.x.max: 1000",
        whole("{min: 0, max: 1000}"),
    ),
    "more whole numbers than floats": (
        whole("{min: 0, max: 10000000000000000000}"),
        "parameters.x.max: is too far from min for int_uniform; write distribution: uniform",
        whole("{distribution: uniform, min: 0, max: 10000000000000000000}"),
    ),
    "exponents taken for values": (
        whole("{distribution: q_log_normal, mu: 1000}"),
        "parameters.x: these numbers lead to values too large to compute; q_log_normal takes mu ",
        whole("{distribution: q_log_normal, mu: 7}"),
    ),
    "the width overflows": (
        whole("{min: -1.5e+308, max: 1.5e+308}"),
        "parameters.x: these numbers lead to values too large",
        whole("{min: -1.5e+300, max: 1.5e+300}"),
    ),
    "steps without number": (
        whole("{distribution: q_uniform, min: 0, max: 1, q: 1.0e-300}"),
        "parameters.x.q: 1e-300 is too small for min 0 and max 1; raise it",
        whole("{distribution: q_uniform, min: 0, max: 1, q: 0.01}"),
    ),
    "steps that no float tells apart": (
        whole("{distribution: q_uniform, min: 10000000000000000, max: 10000000000000008, q: 0.5}"),
        "parameters.x.q: 0.5 is too small for min 10000000000000000 and max 1000",
        whole("{distribution: q_uniform, min: 10000000000000000, max: 10000000000000008, q: 4}"),
    ),
    "given twice": (
        "program: train.py\nmethod: grid\nparameters:\n  x: {value: 1}\n  x: {value: 2}\n",
        "x is given twice; keep one",
        whole(),
    ),
    "given twice in a mapping that is merged": (
        whole("&x {min: 0, max: 1, max: 2}, y: {<<: *x, max: 3}"),
        "max is given twice; keep one",
        whole("&x {min: 0, max: 1}, y: {<<: *x, max: 3}"),
    ),
    "a key that is a number": (
        whole("{value: {1: a}}"),
        "the key 1 is a number to YAML; quote it: '1'",
        whole("{value: {'1': a}}"),
    ),
    "a key that is merged": (
        whole("{value: {<<: {on: a, b: c}}}"),
        "the key on is a boolean to YAML; quote it: 'on'",
        whole("{value: {<<: {'on': a, b: c}}}"),
    ),
    "a key that is yes": (
        whole("{value: {on: a}}"),
        "the key on is a boolean to YAML; quote it: 'on'",
        whole("{value: {'on': a}}"),
    ),
    "a date": (
        whole("{value: 2024-01-31}"),
        "2024-01-31 is a date to YAML; quote it: '2024-01-31'",
        whole("{value: '2024-01-31'}"),
    ),
    "bytes": (
        whole("{value: !!binary aGk=}"),
        "aGk= is a binary to YAML; quote it",
        whole("{value: 'aGk='}"),
    ),
    "a set": (
        whole("{value: !!set {a, b}}"),
        "this is a set to YAML; leave !!set out",
        whole("{value: {a, b}}"),
    ),
    "a list within itself": (
        whole("{value: &a [*a]}"),
        "holds itself, or more than 1000000 values by its aliases (*); write it without them",
        whole("{value: [[]]}"),
    ),
    "a list that doubles": (
        whole("{value: [&a0 [1, 1], " + ", ".join(DOUBLING) + "]}"),
        "holds itself, or more than 1000000 values by its aliases (*); write it without them",
        whole("{value: [1, 1]}"),
    ),
    "half a character": (
        whole('{value: "a\\ud800"}'),
        "'a' holds a character that no command line takes; leave it out",
        whole("{value: a}"),
    ),
}
UNSURE = {
    "more than a float holds",
    "a list within itself",
    "a list that doubles",
    "another engine",
}
"""W&B's engine crashes on these in one way or another, or takes very long."""


@pytest.mark.parametrize("name", STRICTER)
def test_files_refused_on_purpose(name: str, root: Path) -> None:
    text, line, right = STRICTER[name]
    assert refusals(root, text)[0].startswith(line)
    assert name in UNSURE or accepted_by_wandb(text)
    assert load_text(root, right).space


def test_exponents_are_taken_though_wandb_calls_them_deprecated(root: Path) -> None:
    """Its engine still draws from them, and its schema still has them: only the check complains."""
    for name in ("log_uniform", "inv_log_uniform", "q_log_uniform"):
        text = whole(f"{{distribution: {name}, min: -3, max: 1}}")
        assert load_text(root, text).space
        (complaint,) = schema_violations_from_proposed_config(yaml.safe_load(text))
        assert f"uses {name}, where min/max specify base-e exponents" in complaint


# --- Files that nobody writes on purpose


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"\xff\xfe\x00p", "is not UTF-8 text; save the file as UTF-8"),
        (b"\x00\x01", "holds the character #x0000; leave it out"),
        (whole("{value: !!bool x}"), "x is a boolean to YAML; quote it: x"),
        (whole("{value: !!int ''}"), "is a number to YAML; quote it: ''"),
        (whole("{value: !!float x}"), "x is a number to YAML; quote it: x"),
        (whole("{value: !!timestamp x}"), "x is a date to YAML; quote it: x"),
        (
            whole("{value: !!python/object/apply:os.getcwd []}"),
            "!!python/object/apply:os.getcwd is no JSON; leave it out",
        ),
        (whole("{value: *nowhere}"), "found undefined alias 'nowhere'; text that begins with * ne"),
        (whole("{? [1] : 2}"), "this key is not text to YAML; quote it"),
        (whole("{value: " + "[" * 5000 + "]" * 5000 + "}"), "is not valid YAML: maximum recursion"),
        (whole("{value: " + "9" * 5000 + "}"), "99999999999999"),
        (whole("{value: 0x" + "f" * 9000 + "}"), "0xfffffffffffff"),
        (whole() + "--- \na: 1", "---: a second document begins here; keep one"),
        (whole(**{"'a\\nb'": "1"}).replace("'", '"'), "a b: is not supported"),
    ],
)
def test_hostile_files(content: str | bytes, line: str, root: Path) -> None:
    assert refusals(root, content)[0].startswith(line)


def test_a_file_that_is_not_there(root: Path) -> None:
    path = root / "nowhere.yaml"
    with pytest.raises(UserError) as refused:
        load(path, root)
    assert str(refused.value) == f"{path}: no such file; name the sweep file with --sweep FILE"
    with pytest.raises(UserError, match=r"cannot be read: Is a directory"):
        load(root, root)


SCALARS = [
    *"0 1 -3 2.5 1e-4 1.0e-4 1.0e+300 -1.0e-300 .nan .inf -.inf yes no ~ '' x 2024-01-01".split(),
    *"1:30 0o7 0x1f train.py grid bayes random hyperband normal beta minimize maximize".split(),
    *"q_uniform uniform int_uniform log_uniform log_uniform_values q_log_normal".split(),
    *("1" + "0" * 400, "!!int x", "!!set {a}", '"\\ud800\\0"', "'${args}'", "*a", "&a 1"),
]
"""Words of YAML, as a tired hand might type them."""
NUMBERS = [word for word in SCALARS if word[0] in "0123456789.-"]
FILE_KEYS = """program method metric parameters command early_terminate run_cap name project entity
description controller scheduler metrics kind apiVersion job image_uri count interpreter goal x-y
""".split()
PARAMETER_KEYS = "value values probabilities min max mu sigma q a b distribution parameters".split()
BANDS = ["yes", "~", "1.5", "1.0e+300", "-1", *["1", "2", "27"] * 3, "1" + "0" * 400]


def mapping(keys: list[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.dictionaries(st.sampled_from(keys), values, max_size=4).map(
        lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
    )


OTHER_KEYS = "name goal target impute engine search_space method x on 1 ~ << values:".split()
VALUES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        mapping([*PARAMETER_KEYS, *OTHER_KEYS], inner),
    ),
    max_leaves=6,
)
"""Text of any value in YAML."""


def taken_or_refused(root: Path, text: str | bytes) -> Sweep | None:
    """The sweep if the file is good; nothing but one clear line if not."""
    try:
        sweep = load_text(root, text)
    except UserError:
        assert refusals(root, text)
        return None
    for number in (1, 2):
        point = new_search(sweep).ask(number)
        assert point is None or params_at(sweep.space, point)
    return sweep


@settings(max_examples=200, deadline=None)
@given(x=mapping(PARAMETER_KEYS, VALUES) | VALUES.map(lambda value: f"{{value: {value}}}"))
def test_any_parameter_is_taken_or_refused(root: Path, x: str) -> None:
    taken_or_refused(root, whole(x))


@settings(max_examples=200, deadline=None)
@given(key=st.sampled_from(FILE_KEYS), value=VALUES)
def test_any_value_of_a_key_is_taken_or_refused(root: Path, key: str, value: str) -> None:
    taken_or_refused(root, whole(**{key: value}))


@settings(max_examples=200, deadline=None)
@given(
    bands=mapping(["min_iter", "eta"], st.sampled_from(BANDS))
    | mapping(["max_iter", "s", "eta", "strict"], st.sampled_from(BANDS))
)
def test_any_bands_are_taken_or_refused(root: Path, bands: str) -> None:
    bands = bands.replace("{", "{type: hyperband, ")
    taken_or_refused(root, whole(metric="{name: loss}", early_terminate=bands))


@settings(max_examples=300, deadline=None)
@given(
    distribution=st.sampled_from(
        "uniform q_uniform log_uniform q_log_uniform log_uniform_values q_log_uniform_values "
        "inv_log_uniform inv_log_uniform_values normal q_normal log_normal q_log_normal beta "
        "q_beta int_uniform".split()
    ),
    numbers=st.lists(st.sampled_from(NUMBERS), min_size=3, max_size=3),
)
def test_any_numbers_are_taken_or_refused(
    root: Path, distribution: str, numbers: list[str]
) -> None:
    names = ["mu", "sigma"] if "normal" in distribution else ["min", "max"]
    names = ["a", "b"] if "beta" in distribution else names
    names += ["q"] * distribution.startswith("q_")
    pairs = "".join(f", {name}: {n}" for name, n in zip(names, numbers, strict=False))
    taken_or_refused(root, whole(f"{{distribution: {distribution}{pairs}}}"))


@settings(max_examples=300, deadline=None)
@given(
    at=st.integers(0, len(GUIDE)),
    removed=st.integers(0, 8),
    put=st.text("ab1.:-#'\"[]{}&*!|>%@`?\t\n\x00\u2028é,", max_size=4) | st.sampled_from(SCALARS),
)
def test_a_mutilated_file_is_taken_or_refused(root: Path, at: int, removed: int, put: str) -> None:
    taken_or_refused(root, GUIDE[:at] + put + GUIDE[at + removed :])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_refused(root: Path, content: bytes) -> None:
    assert taken_or_refused(root, content) is None


# What people write instead, and what they are told: the key, and a remedy that is the sweep meant.
MEANT = [
    ("project: my/proj", "project: W&B takes no / \\ # ? % :", "write my-proj"),
    ("scheduler: {values: [const, cosine]}", "scheduler: looks like a parameter", "indent it"),
    ("name: {values: [a, b]}", "name: looks like a parameter", "indent it below"),
    ("metric: {name: acc, direction: maximize}", "metric.direction:", "write goal"),
    ("metric: {name: 2024}", "metric.name: must be text", 'write `name: "2024"`'),
    ("metric: {name: acc, early_terminate: {}}", "metric.early_terminate:", "indent it less"),
    ("command: \"[python, train.py, '${args}']\"", "command:", "`command: [python, train.py, '"),
    ("command: python, train.py, ${args}", "command:", "`command: [python, train.py, '${args}']`"),
    ("command:\n  -python\n  -${args}", "command:", "`command: [python, '${args}']`"),
    ("command: [python, '${ args }']", "command: ${ args } is not a macro", "write ${args}"),
    ("command: [[python, '${args}']]", "command: is a list in a list", "[python, '${args}']`"),
    ("image: x", "image: is not supported", "remove it"),
    ("x: [1, 2]]", "", "a ] too many"),
    ("x: [1,, 2]", "", "a comma too many"),
    ('x: "C:\\data"', "", "use single quotes"),
    ("x:\n  values: - 0.1", "", "needs brackets"),
    ("x: [*.py]", "", "begins with * needs quotes"),
    ("x: [1,\t2]", "", "holds a tab"),
    ("x: !!python/tuple [1]", "", "!!python/tuple is no JSON; leave it out"),
    ("\u00a0 x: 1", "", "no-break spaces"),
]
PARAMETERS = [
    ("p: {parameters: {a/b: {value: 1}}}", "parameters.p.a/b:", "write a_b"),
    ("x: {distribution: float_uniform, min: 0, max: 0.5}", "x.distribution:", "write uniform"),
    ("x: {distribution: q_loguniform, min: 1, max: 5}", "x.distribution:", "q_log_uniform_values"),
    ("x: {min: '1', max: '8'}", "x.min:", "write 1"),
    ("x: {min: 1, max: 1e3}", "x.max:", "write 1000"),
    ("x: [{min: 0.1}, {max: 1.0}]", "parameters.x:", "as `x: {min: 0.1, max: 1.0}`"),
    ("x: {values: {min: 1, max: 2}}", "x.values:", "leave out `values:`"),
    ("x: {values: 'range(1, 4)'}", "x.values:", "`values: [1, 2, 3]`"),
    ("x: {values: 'range(1, 9, 0)'}", "x.values:", "write"),
    ("x: {values: 'range(1, 10**9)'}", "x.values:", "`values: [...]`"),
    ("x: {values: '-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a b'}", "x.values:", "write"),
    ("x: {values: {'[': }}", "x.values:", "write"),
    ("x: {values: 0.1 0.2}", "x.values:", "`values: [0.1, 0.2]`"),
    ("x: {values: 0.1; 0.2}", "x.values:", "`values: [0.1, 0.2]`"),
    ("x: {values: -1 -2}", "x.values:", "a blank after each dash"),
    ("x: values [1]", "parameters.x: a colon is missing", "`values: [1]`"),
    ("x: {values: [1, 2], weights: [0.1, 0.9]}", "x.weights:", "write probabilities"),
    ("x: {min: 1, max: 9, q: 2}", "x.q:", "`distribution: q_uniform`"),
    ("x: {min: 0.1, max: 0.9, step: 0.2}", "x.step:", "`distribution: q_uniform`, where it is q"),
    ("x: {distribution: beta, alpha: 2, beta: 3}", "x.alpha:", "write a"),
    ("x: {min: 0.1, max: 1.0, log: true}", "x.log:", "`distribution: log_uniform_values`"),
    ("x: {distribution: , min: 0.1, max: 1.0}", "x.distribution: is empty", "remove it"),
    ("x: {lr: 0.1, beta1: 0.9}", "parameters.x:", "`x: {value: {lr: 0.1, beta1: 0.9}}`"),
    ("x: {d: {values: [1]}, name: a}", "level `parameters:` is missing", "name: {value: a}}}`"),
    ("metric: {name: loss}", "parameters.metric: is no parameter", "indent it less"),
    ("x\n    values: [1]", "", "lacks its colon; write `x:`"),
    ("parameters: {x: {value: 1}}", "parameters.parameters: stands twice", "remove this line"),
]


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        *MEANT,
        *((f"parameters:\n  {text}", key, remedy) for text, key, remedy in PARAMETERS),
    ],
)
def test_what_was_meant_is_said(text: str, key: str, remedy: str, root: Path) -> None:
    head = "program: train.py\nmethod: random\nrun_cap: 3\n"
    rest = "" if text.startswith("parameters") else "parameters:\n  y: {value: 1}\n"
    lines = refusals(root, head + rest + text + "\n")
    assert any(key in line and remedy in line for line in lines), lines
