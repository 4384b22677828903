"""Sweep files: what W&B takes is taken, what is wrong is refused in one line, nothing crashes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypertrain import UserError
from hypertrain.search.search import new_search, params_at
from hypertrain.sweepfile.sweep import Metric, Sweep, load
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


def refusal(root: Path, text: str | bytes) -> str:
    """The one line that refuses the file, without the file's name."""
    with pytest.raises(UserError) as refused:
        load_text(root, text)
    line, name = str(refused.value), f"{root / 'sweep.yaml'}: "
    assert line.startswith(name)
    assert len(line.splitlines()) == 1
    return line.removeprefix(name)


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
        command="['${env}', python, '${program}', '${args}', 3, true]",
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


# --- Wrong files that W&B's engine refuses as well

NEEDS = "give `value: ...`, `values: [...]` or `min: ...` and `max: ...`"
WRONG = {
    "empty": ("", "must be a mapping with the keys program, method, metric and parameters"),
    "a list": ("[1, 2]", "must be a mapping with"),
    "text": ("hello", "must be a mapping with"),
    "no YAML": ("a: [1,\nb: }", "is not valid YAML: while parsing"),
    "a tab": ("a:\n\tb: 1", "is not valid YAML: while scanning"),
    "unknown key": (whole(colour="red"), "colour: is not supported; remove it (supported: pro"),
    "no method": (whole(method="~"), "method: must be one of grid, random, bayes, not None"),
    "method": (whole(method="hyperopt"), "method: must be one of grid, random, bayes, not 'hyp"),
    "no parameters": ("program: train.py\nmethod: grid", "parameters: give at least one parameter"),
    "empty parameters": (whole(parameters="{}"), "parameters: give at least one parameter"),
    "parameters a list": (whole(parameters="[lr]"), "parameters: give at least one parameter"),
    "parameter a number": (whole("3"), f"parameters.x: {NEEDS}"),
    "parameter without values": (whole("{}"), f"parameters.x: {NEEDS}"),
    "min without max": (whole("{min: 1}"), f"parameters.x: {NEEDS}"),
    "name": (whole("{value: 1}, 1y: {value: 1}"), "parameters: the name '1y' is not allowed; use"),
    "no values": (whole("{values: []}"), "parameters.x.values: must be a list of at least one"),
    "values a text": (whole("{values: abc}"), "parameters.x.values: must be a list of at least"),
    "typo": (whole("{values: [1], vaules: [2]}"), "parameters.x.vaules: does not belong here; th"),
    "typo deeper": (
        whole("{parameters: {y: {value: 1, q: 2}}}"),
        "parameters.x.y.q: does not belong here; this distribution has: distribution, value",
    ),
    "parameters and more": (
        whole("{parameters: {y: {value: 1}}, value: 2}"),
        "parameters.x.value: does not belong here",
    ),
    "distribution": (
        whole("{distribution: gauss}"),
        "parameters.x.distribution: 'gauss' is unknown; use one of: constant, categorical,",
    ),
    "distribution a list": (whole("{distribution: [normal]}"), "parameters.x.distribution: ['nor"),
    "constant without value": (whole("{distribution: constant}"), "parameters.x.value: is missing"),
    "no bounds": (whole("{distribution: uniform, min: 1}"), "parameters.x.max: is missing"),
    "bounds": (whole("{min: 3, max: 3}"), "parameters.x.min: 3 must be less than max 3"),
    "bounds the other way": (whole("{min: 1.5, max: -1}"), "parameters.x.min: 1.5 must be less th"),
    "text bound": (
        whole("{min: 1e-4, max: 1}"),
        "parameters.x.min: '1e-4' is text to YAML; write a number, such as 1.0e-4",
    ),
    "bool bound": (whole("{min: no, max: yes}"), "parameters.x.min: False is not a number that"),
    "empty bound": (whole("{min: ~, max: 1}"), "parameters.x.min: is missing"),
    "float bounds of int_uniform": (
        whole("{distribution: int_uniform, min: 0.5, max: 3}"),
        "parameters.x.min, max: must both be whole numbers for int_uniform",
    ),
    "log of 0": (
        whole("{distribution: log_uniform_values, min: 0, max: 1}"),
        "parameters.x.min: must be greater than 0, not 0",
    ),
    "q": (
        whole("{distribution: q_normal, q: 0}"),
        "parameters.x.q: must be greater than 0, not 0",
    ),
    "sigma": (whole("{distribution: normal, sigma: -1}"), "parameters.x.sigma: must be greater th"),
    "beta": (whole("{distribution: beta, a: -1}"), "parameters.x.a: must be greater than 0, not"),
    "probabilities": (
        whole("{values: [1, 2], probabilities: [0.5, 0.4]}"),
        "parameters.x.probabilities: must add up to 1, not 0.9",
    ),
    "probabilities short": (
        whole("{values: [1, 2], probabilities: [1]}"),
        "parameters.x.probabilities: needs 2 numbers, one for each value",
    ),
    "probabilities negative": (
        whole("{values: [1, 2], probabilities: [2, -1]}"),
        "parameters.x.probabilities: must be numbers from 0 to 1",
    ),
    "metric a text": (whole(metric="loss"), "metric.name: is missing; name a value that the prog"),
    "metric without name": (whole(metric="{goal: minimize}"), "metric.name: is missing; name a"),
    "goal": (
        whole(metric="{name: loss, goal: min}"),
        "metric.goal: must be minimize or maximize, not 'min'",
    ),
    "metric's key": (
        whole(metric="{name: loss, aim: minimize}"),
        "metric.aim: is not supported; remove it (supported: name, goal)",
    ),
    "command a text": (whole(command="python train.py"), "command: must be a list, such as"),
    "run_cap": (whole(run_cap="0"), "run_cap: must be a whole number from 1 to 1000000000, not 0"),
    "run_cap a text": (whole(run_cap="ten"), "run_cap: must be a whole number from 1 to"),
    "run_cap a bool": (whole(run_cap="true"), "run_cap: must be a whole number from 1 to"),
    "project": (whole(project="3"), "project: must be text, not 3"),
    "name of the sweep": (whole(name="[a]"), "name: must be text, not ['a']"),
    "description": (whole(description="3"), "description: must be text, not 3"),
}


def early(**keys: str) -> str:
    text = ", ".join(f"{key}: {value}" for key, value in keys.items())
    return whole(metric="{name: loss}", early_terminate=f"{{{text}}}")


WRONG |= {
    "early_terminate": (early(min_iter="3"), "early_terminate.type: must be hyperband"),
    "early_terminate a text": (
        whole(metric="{name: loss}", early_terminate="hyperband"),
        "early_terminate.type: must be hyperband",
    ),
    "another type": (early(type="median"), "early_terminate.type: must be hyperband"),
    "no bands": (early(type="hyperband"), "early_terminate: give either max_iter and s, or min_it"),
    "max_iter alone": (
        early(type="hyperband", max_iter="27"),
        "early_terminate: give either max_iter and s, or min_iter",
    ),
    "min_iter": (
        early(type="hyperband", min_iter="0"),
        "early_terminate.min_iter: must be a whole number from 1 to 1000000000, not 0",
    ),
    "eta": (
        early(type="hyperband", min_iter="1", eta="1"),
        "early_terminate.eta: must be a number greater than 1, not 1",
    ),
    "eta a text": (
        early(type="hyperband", min_iter="1", eta="1e1"),
        "early_terminate.eta: must be a number greater than 1, not '1e1'",
    ),
    "strict": (
        early(type="hyperband", min_iter="1", strict="1"),
        "early_terminate.strict: must be true or false, not 1",
    ),
    "hyperband's key": (
        early(type="hyperband", min_iter="1", etas="3"),
        "early_terminate.etas: is not supported; remove it",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(name: str, root: Path) -> None:
    text, line = WRONG[name]
    assert refusal(root, text).startswith(line)
    assert not accepted_by_wandb(text)


# --- Files that W&B's engine takes, and why they are refused here

STRICTER = {
    "a key of W&B's that does nothing here": (
        whole(controller="{type: local}"),
        "controller: is not supported; remove it",
    ),
    "a key for a server": (
        whole(scheduler="{engine: wandb}"),
        "scheduler: is not supported; remove it",
    ),
    "a target would have to end the sweep": (
        whole(metric="{name: loss, target: 0.1}"),
        "metric.target: is not supported; remove it",
    ),
    "impute fills in values for failed runs": (
        whole(metric="{name: loss, impute: best}"),
        "metric.impute: is not supported; remove it",
    ),
    "nothing to run": (
        "method: grid\nparameters: {x: {value: 1}}",
        "program: is missing; name the training script, such as modules/train.py",
    ),
    "no such program": (whole(program="trian.py"), "program: there is no file trian.py; use a p"),
    "program a folder": (whole(program="."), "program: there is no file .; use a path relative"),
    "program outside": (whole(program="/etc/passwd"), "program: /etc/passwd is outside the proj"),
    "program no path": (whole(program='"a\\0b"'), "program: there is no file a\0b; use a path"),
    "program too long": (whole(program="a" * 5000), "program: there is no file aaaaaaaaaaaaaaaaa"),
    "bayes needs a metric": (
        whole(method="bayes"),
        "metric: is needed by method: bayes; add `metric: {name: ..., goal: ...}`",
    ),
    "hyperband needs a metric": (
        whole(early_terminate="{type: hyperband, min_iter: 1}"),
        "metric: is needed by early_terminate; add `metric:",
    ),
    "the metric has no name": (whole(metric="{name: ''}"), "metric.name: is missing"),
    "no grid over a range": (
        whole("{min: 0.0, max: 1.0}", method="grid"),
        "parameters.x: a grid needs `values: [...]`, whole numbers from min to max, or q_uniform",
    ),
    "no grid over chances": (
        whole("{values: [1], probabilities: [1]}", method="grid"),
        "parameters.x: a grid needs `values: [...]`",
    ),
    "an empty command": (whole(command="[]"), "command: must be a list, such as"),
    "a list is no word": (whole(command="[python, [a]]"), "command: ['a'] is not one word; quote"),
    "an empty name": (whole(name="''"), "name: must be text, not ''"),
    "max_iter makes min_iter void": (
        early(type="hyperband", max_iter="27", s="2", min_iter="1"),
        "early_terminate: give either max_iter and s, or min_iter",
    ),
    "no band is left": (
        early(type="hyperband", max_iter="2", s="2"),
        "early_terminate: no band is left; raise max_iter or lower eta",
    ),
    "half a band": (
        early(type="hyperband", max_iter="27", s="1.5"),
        "early_terminate.s: must be a whole number from 1 to 100, not 1.5",
    ),
    "bands without an end": (
        early(type="hyperband", max_iter="27", s="2000000000"),
        "early_terminate.s: must be a whole number from 1 to 100, not 2000000000",
    ),
    "every draw the same": (
        whole("{distribution: normal, sigma: 0}"),
        "parameters.x.sigma: must be greater than 0, not 0",
    ),
    "not a number": (whole("{min: .nan, max: 1.0}"), "parameters.x.min: nan is not a number that"),
    "without bounds": (whole("{min: -.inf, max: 1.0}"), "parameters.x.min: -inf is not a number"),
    "more than a float holds": (
        whole("{min: 0, max: 1" + "0" * 400 + "}"),
        "parameters.x.max: 1000",
    ),
    "more whole numbers than floats": (
        whole("{min: 0, max: 10000000000000000000}"),
        "parameters.x.min, max: are too far apart for int_uniform; use uniform",
    ),
    "exponents taken for values": (
        whole("{distribution: q_log_normal, mu: 1000}"),
        "parameters.x: these numbers lead to values too large to compute; log_uniform and",
    ),
    "the width overflows": (
        whole("{min: -1.5e+308, max: 1.5e+308}"),
        "parameters.x: these numbers lead to values too large",
    ),
    "steps without number": (
        whole("{distribution: q_uniform, min: 0, max: 1, q: 1.0e-300}"),
        "parameters.x.q: 1e-300 is too small for min 0 and max 1; raise it",
    ),
    "steps that no float tells apart": (
        whole("{distribution: q_uniform, min: 10000000000000000, max: 10000000000000008, q: 0.5}"),
        "parameters.x.q: 0.5 is too small for min 10000000000000000 and max 1000",
    ),
    "given twice": (
        "program: train.py\nmethod: grid\nparameters:\n  x: {value: 1}\n  x: {value: 2}\n",
        "line 5: x is given twice; keep one",
    ),
    "a key that is a number": (whole("{value: {1: a}}"), "line 3: this key is not text to YAML"),
    "a key that is merged": (
        whole("{value: {<<: {on: a, b: c}}}"),
        "line 3: this key is not text to YAML; quote it",
    ),
    "a key that is yes": (whole("{value: {on: a}}"), "line 3: this key is not text to YAML; quo"),
    "a date": (
        whole("{value: 2024-01-31}"),
        "line 3: this is a timestamp to YAML; quote it to make it text",
    ),
    "bytes": (whole("{value: !!binary aGk=}"), "line 3: this is a binary to YAML; quote it to"),
    "a set": (whole("{value: !!set {a, b}}"), "line 3: this is a set to YAML; quote it to make"),
    "a list within itself": (whole("{value: &a [*a]}"), "is not valid YAML: Circular reference"),
}
UNSURE = {"more than a float holds", "a list within itself"}
"""W&B's engine crashes on these in one way or another."""


@pytest.mark.parametrize("name", STRICTER)
def test_files_refused_on_purpose(name: str, root: Path) -> None:
    text, line = STRICTER[name]
    assert refusal(root, text).startswith(" ".join(line.split()))
    assert name in UNSURE or accepted_by_wandb(text)


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
        (b"\xff\xfe\x00p", "cannot be read as UTF-8 text: 'utf-8' codec can't decode byte 0xff"),
        (b"\x00\x01", "is not valid YAML: unacceptable character #x0000"),
        (whole("{value: !!bool x}"), "is not valid YAML"),
        (whole("{value: !!int ''}"), "is not valid YAML"),
        (whole("{value: !!float x}"), "is not valid YAML"),
        (whole("{value: !!timestamp x}"), "line 3: this is a timestamp to YAML"),
        (whole("{value: !!python/object/apply:os.getcwd []}"), "is not valid YAML: could not dete"),
        (whole("{value: *nowhere}"), "is not valid YAML: found undefined alias"),
        (whole("{? [1] : 2}"), "line 3: this key is not text to YAML; quote it"),
        (whole("{value: " + "[" * 5000 + "]" * 5000 + "}"), "is not valid YAML: maximum recursion"),
        (whole("{value: " + "9" * 5000 + "}"), "is not valid YAML: Exceeds the limit"),
        (whole("{value: 0x" + "f" * 9000 + "}"), "is not valid YAML: Exceeds the limit"),
        (whole() + "--- \na: 1", "is not valid YAML: expected a single document"),
        (whole(**{"'a\\nb'": "1"}).replace("'", '"'), "a b: is not supported"),
    ],
)
def test_hostile_files(content: str | bytes, line: str, root: Path) -> None:
    assert refusal(root, content).startswith(line)


def test_a_file_that_is_not_there(root: Path) -> None:
    path = root / "nowhere.yaml"
    with pytest.raises(UserError) as refused:
        load(path, root)
    assert str(refused.value) == f"{path}: no such file; name the sweep file with --sweep FILE"
    with pytest.raises(UserError, match=r"cannot be read as UTF-8 text: .*Is a directory"):
        load(root, root)


SCALARS = [
    *"0 1 -3 2.5 1e-4 1.0e-4 1.0e+300 -1.0e-300 .nan .inf -.inf yes no ~ '' x 2024-01-01".split(),
    *"1:30 0o7 0x1f train.py grid bayes random hyperband normal beta minimize maximize".split(),
    *"q_uniform uniform int_uniform log_uniform log_uniform_values q_log_normal".split(),
    *("1" + "0" * 400, "!!int x", "!!set {a}", '"\\ud800\\0"', "'${args}'", "*a", "&a 1"),
]
"""Words of YAML, as a tired hand might type them."""
NUMBERS = [word for word in SCALARS if word[0] in "0123456789.-"]
FILE_KEYS = "program method metric parameters command early_terminate run_cap name project".split()
PARAMETER_KEYS = "value values probabilities min max mu sigma q a b distribution parameters".split()
BANDS = ["yes", "~", "1.5", "1.0e+300", "-1", *["1", "2", "27"] * 3, "1" + "0" * 400]


def mapping(keys: list[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.dictionaries(st.sampled_from(keys), values, max_size=4).map(
        lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
    )


VALUES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        mapping([*PARAMETER_KEYS, "name", "goal", "x", "on", "1", "~", "<<"], inner),
    ),
    max_leaves=6,
)
"""Text of any value in YAML."""


def taken_or_refused(root: Path, text: str | bytes) -> Sweep | None:
    """The sweep if the file is good; nothing but one clear line if not."""
    try:
        sweep = load_text(root, text)
    except UserError:
        assert refusal(root, text)
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
