"""The three answers: what is taken, what is refused and how, and what a bake then holds."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Bake, hook, tree
from cookiecutter.exceptions import FailedHookException
from cookiecutter.generate import generate_context
from cookiecutter.main import cookiecutter
from cookiecutter.prompt import prompt_for_config
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pre_gen = hook("pre_gen_project")

TEMPLATE = "{{cookiecutter.project_slug}}"
# A project whose code directory is `modules`, but for the tuner.
EXPECTED = set(
    """
    .dockerignore
    .github/dependabot.yml
    .github/workflows/checks.yml
    .gitignore
    .neuro/hypertrain.yml
    .neuro/live.yml
    .neuro/project.yml
    .neuro/upload.yml
    .neuroignore
    Dockerfile
    README.md
    constraints.in
    constraints.txt
    config/wandb-sweep.yaml
    modules/data.py
    modules/model.py
    modules/train.py
    pyproject.toml
    requirements-dev.txt
    requirements.txt
    tests/conftest.py
    tests/test_data.py
    tests/test_train.py
    """.split()
)

SLUGS = {
    "Hyperparameter tuning test": "hyperparameter-tuning-test",
    "Neuro Project": "neuro-project",
    "Настройка гиперпараметров": "nastroika-giperparametrov",
    "Обучение 🚀": "obuchenie",
    "🚀": "project",
    "": "project",
    "...": "project",
    "X": "project-x",
    "3D Net": "project-3d-net",
    "2024-01-01": "project-2024-01-01",
    "COM port": "com-port",
    **{
        device.upper(): f"project-{device}"
        for device in "con prn aux nul com0 com1 com9 lpt0 lpt1 lpt9".split()
    },
    "What's new?!": "what-s-new",
    "../../etc/passwd": "etc-passwd",
    "one two three four five six seven": "one-two-three-four-five-six",
    "x" * 200: "x" * 28,
    "ten words " * 20: "ten-words-ten-words-ten",
}

# Each of these once broke a file, ran as code or changed its value on the way.
NAMES = [
    "no",
    "~",
    "null",
    "1e3",
    "2024-01-01",
    "a: b #c",
    "- item",
    "# heading",
    "it's",
    'say "hi"',
    "'''",
    '"""',
    "\\",
    "\\n",
    "a\\",
    "'''+__import__('os').system('touch pwned')+r'''",
    '"""; __import__("os").system("touch pwned"); """',
    "$(touch pwned)",
    "`touch pwned`",
    "${HOME} %PATH%",
    "<script>&amp;</script>",
    "} }} %} #}",
    "*&!|>@",
    "[x](y) | z",
    "🚀",
    "👩‍🔬",
    "Настройка гиперпараметров",
    "e\N{COMBINING ACUTE ACCENT} \N{NO-BREAK SPACE} \N{RIGHT-TO-LEFT OVERRIDE}",
    " padded ",
    "n" * 100,
]

REFUSED = [
    *(
        ("project_name", name, "one line")
        for name in (
            "",
            " ",
            "n" * 101,
            "two\nlines",
            "trailing\n",
            "tab\t",
            "bell\x07",
            "nul\x00",
            "next\x85line",
            "line\u2028separator",
            "half a pair \ud83d",
            "\uffff",
        )
    ),
    *(
        ("project_slug", slug, "small Latin letters")
        for slug in (
            "x",
            "Upper",
            "two words",
            "under_score",
            "double--hyphen",
            "-first",
            "last-",
            "trailing\n",
            "1st",
            "имя",
            "dot.ted",
            "quote'",
            "$(id)",
            "../up",
            "a/b",
            "a/b/c",
            "s" * 29,
        )
    ),
    *(("project_slug", slug, "device on Windows") for slug in ("con", "nul", "com1", "lpt9")),
    *(
        ("code_directory", name, "small Latin letters")
        for name in (
            "",
            ".",
            "..",
            "a/b",
            "a\\b",
            "/tmp",
            "Upper",
            "with-hyphen",
            "with space",
            "trailing\n",
            "1st",
            "код",
            "d" * 41,
        )
    ),
    *(("code_directory", name, "keyword") for name in ("class", "import", "lambda", "async")),
    *(("code_directory", name, "device on Windows") for name in ("aux", "prn", "com3")),
    *(
        ("code_directory", name, "module of Python")
        for name in (
            "json",
            "code",
            "test",
            "types",
            "distutils",
            "tomllib",
            "annotationlib",
            "_io",
        )
    ),
    *(
        ("code_directory", name, "module that the project imports")
        for name in ("torch", "yaml", "sklearn", "numpy", "optuna", "rich", "scipy", "wandb")
    ),
    *(
        ("code_directory", name, "project itself uses")
        for name in ("hypertrain", "config", "data", "results", "tests", "model")
    ),
]

DEFAULTS = {
    "project_name": "Neuro Project",
    "project_slug": "neuro-project",
    "code_directory": "modules",
}


def defaults_for(template: Path, **answers: str) -> Mapping[str, str]:
    """What cookiecutter answers itself where nothing is said."""
    context = generate_context(str(template / "cookiecutter.json"), extra_context=answers)
    filled: Mapping[str, str] = prompt_for_config(context, no_input=True)
    return filled


def parse(files: Mapping[str, bytes]) -> None:
    """Every file that has a grammar keeps it."""
    for name, content in files.items():
        text = content.decode()
        if name.endswith(".py"):
            ast.parse(text, filename=name)
        elif name.endswith((".yml", ".yaml")):
            yaml.safe_load(text)
        elif name.endswith(".toml"):
            tomllib.loads(text)
        elif name.endswith(".json"):
            json.loads(text)


def test_the_prompts_and_their_order() -> None:
    context = json.loads((ROOT / "cookiecutter.json").read_text())
    assert [key for key in context if not key.startswith("_")] == list(DEFAULTS)
    assert all(isinstance(context[key], str) for key in DEFAULTS)


def test_defaults(template: Path) -> None:
    answers = defaults_for(template)
    assert {key: answers[key] for key in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize(("name", "slug"), SLUGS.items(), ids=lambda text: ascii(text)[:40])
def test_default_slug(name: str, slug: str, template: Path) -> None:
    assert defaults_for(template, project_name=name)["project_slug"] == slug


# cookiecutter evaluates these itself, before any hook; and makes a newline of every \r.
JINJA = re.compile(r"\{[{%#]")
letters = st.text(st.characters(exclude_characters="\x00\r"), max_size=40)
hostile = st.lists(st.sampled_from(NAMES) | letters, max_size=5).map("".join)
names = hostile.filter(lambda text: not JINJA.search(text))


@settings(max_examples=300, deadline=None)
@given(name=names | names.map(lambda text: text * 9))
def test_any_name_gives_a_slug_that_is_accepted(name: str, template: Path) -> None:
    slug = defaults_for(template, project_name=name)["project_slug"]
    assert not pre_gen.slug_problem(slug)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_hostile_name_is_taken_as_it_is(name: str, bake: Bake, project: Path) -> None:
    files = tree(bake(project_name=name))
    assert files.keys() == tree(project).keys()
    parse(files)


@pytest.mark.parametrize(("key", "answer", "why"), REFUSED, ids=ascii)
def test_a_wrong_answer_is_refused_by_one_line(
    key: str,
    answer: str,
    why: str,
    template: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (line,) = pre_gen.problems({**DEFAULTS, key: answer})
    assert line.isascii()
    assert line.isprintable()
    assert line.startswith(f"{key} ")
    assert why in line

    before = set(tmp_path.parent.iterdir())
    with pytest.raises(FailedHookException):
        cookiecutter(
            str(template),
            no_input=True,
            extra_context={"project_slug": "neuro-project", key: answer},
            output_dir=str(tmp_path),
        )
    assert capfd.readouterr().err == line + "\n"
    end = time.monotonic() + 2  # a folder around another goes a moment after the command
    while list(tmp_path.iterdir()) and "/" in answer and time.monotonic() < end:
        time.sleep(0.01)
    assert not list(tmp_path.iterdir())
    assert set(tmp_path.parent.iterdir()) == before


def test_every_wrong_answer_has_its_line_and_the_command_fails(
    template: Path, tmp_path: Path
) -> None:
    wrong = {"project_name": "two\nlines", "project_slug": "Two Words", "code_directory": "yaml"}
    answers = [f"{key}={answer}" for key, answer in wrong.items()]
    result = subprocess.run(
        [sys.executable, "-m", "cookiecutter", "--no-input", str(template), *answers],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert [line.split()[0] for line in result.stderr.splitlines()[:3]] == list(wrong)
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


slugs = st.from_regex(r"[a-z][a-z0-9]{1,9}(-[a-z0-9]{1,8}){0,2}", fullmatch=True)
directories = st.from_regex(r"[a-z_][a-z0-9_]{0,39}", fullmatch=True)
answer = names | st.text("abz09-_ .'\"\n", max_size=45)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(name="null", slug="no", directory="on")
@given(
    name=names,
    slug=slugs | answer,
    directory=directories | answer,
)
def test_answers_are_refused_by_clear_lines_or_give_files_that_parse(
    name: str, slug: str, directory: str, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    answers = {"project_name": name, "project_slug": slug, "code_directory": directory}
    refused = pre_gen.problems(answers)
    if refused:
        keys = [line.split()[0] for line in refused]
        assert keys == [key for key in answers if key in keys]
        assert all(line.isascii() and line.isprintable() and len(line) < 250 for line in refused)
        return
    project = cookiecutter(
        str(template),
        no_input=True,
        extra_context=answers,
        output_dir=str(tmp_path_factory.mktemp("bake")),
        accept_hooks=False,
    )
    files = tree(Path(project))
    assert f"{directory}/train.py" in files
    parse(files)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=names, directory=directories | answer)
def test_a_bake_succeeds_or_is_refused_as_the_rules_say(
    name: str,
    directory: str,
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capfd: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path_factory.mktemp("bake")
    answers = {**DEFAULTS, "project_name": name, "code_directory": directory}
    refused = pre_gen.problems(answers)
    capfd.readouterr()
    try:
        project = cookiecutter(
            str(template), no_input=True, extra_context=answers, output_dir=str(output)
        )
    except FailedHookException:
        assert refused
        assert capfd.readouterr().err.splitlines() == refused
        assert not list(output.iterdir())
    else:
        assert not refused
        parse(tree(Path(project)))


@pytest.mark.parametrize(
    ("answers", "folder"),
    [
        ({"project_name": "My net"}, "my-net"),
        ({"project_slug": "my-net"}, "my-net"),
        ({"code_directory": "src"}, "neuro-project"),
    ],
)
def test_one_answer_is_enough(answers: dict[str, str], folder: str, bake: Bake) -> None:
    project = bake(**answers)
    assert project.name == folder
    assert (project / answers.get("code_directory", "modules") / "train.py").is_file()


def test_expected_files_and_only_expected_files(bake: Bake, template: Path) -> None:
    """`hypertrain/` is what the repository holds of it, module for module."""
    tuner = {f"hypertrain/{name}" for name in tree(template / TEMPLATE / "hypertrain")}
    page = "hypertrain/show/page/"  # the report's
    assert all(name.endswith(".py") or name.startswith(page) for name in tuner)
    assert sorted(tree(bake())) == sorted(EXPECTED | tuner)


def test_nothing_of_the_template_is_left(bake: Bake) -> None:
    """`hypertrain/` is copied unrendered, so it must not need rendering."""
    for name, content in tree(bake()).items():
        text = content.decode()
        assert "cookiecutter." not in text, name
        if not name.startswith("hypertrain/"):
            assert not re.search(r"\{\{|\}\}|\{%|%\}|\{#|#\}", text), name


def test_same_answers_same_bytes(bake: Bake) -> None:
    answers = {"project_name": "Настройка 'q' 🚀", "code_directory": "src"}
    assert tree(bake(**answers)) == tree(bake(**answers))


def test_no_folder_of_the_project_may_be_the_code_directory(bake: Bake) -> None:
    folders = {name.split("/")[0] for name in tree(bake()) if "/" in name} - {"modules"}
    assert {"hypertrain", "tests", "config"} <= folders
    assert [folder for folder in folders if not pre_gen.directory_problem(folder)] == []


def test_no_module_of_this_python_may_be_the_code_directory() -> None:
    modules = {name for name in sys.stdlib_module_names if pre_gen.DIRECTORY.fullmatch(name)}
    assert [name for name in modules if not pre_gen.directory_problem(name)] == []


def test_no_direct_dependency_may_be_the_code_directory(project: Path) -> None:
    modules = {"scikit-learn": "sklearn", "PyYAML": "yaml", "nvidia-ml-py": "pynvml"}
    pins = (project / "requirements.txt").read_text().splitlines()
    named = [re.split(r"[=<>\[; ]", pin)[0] for pin in pins if pin and pin[0].isalpha()]
    assert {"torch", "wandb"} <= set(named)
    found = [modules.get(name, name.replace("-", "_")) for name in named]
    assert [name for name in found if not pre_gen.directory_problem(name)] == []


def test_every_dependency_is_pinned_as_it_is_installed_here(project: Path) -> None:
    """Also those of dependencies; what only other systems install is beyond this machine."""

    def pins(name: str) -> dict[str, str]:
        lines = (project / name).read_text().splitlines()
        pairs = [line.split("==") for line in lines if line and line[0].isalpha()]
        return {canonicalize_name(name): version for name, version in pairs}

    constraints = pins("constraints.txt")
    direct = {**pins("requirements.txt"), **pins("requirements-dev.txt")}
    assert direct.items() <= constraints.items()
    names, todo = set(), list(direct)
    while todo:
        name = canonicalize_name(todo.pop())
        if name in names:
            continue
        names.add(name)
        installed = metadata.distribution(name)
        assert constraints[name] == installed.version.partition("+")[0], name
        needs = map(Requirement, installed.requires or [])
        todo += [need.name for need in needs if not need.marker or need.marker.evaluate()]
    assert len(names) > 2 * len(direct)


@pytest.mark.parametrize("name", ["pre_gen_project", "post_gen_project"])
def test_hooks_run_on_old_pythons_too(name: str) -> None:
    source = (ROOT / "hooks" / f"{name}.py").read_text()
    tree_ = ast.parse(source, feature_version=(3, 8))
    imported = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(tree_)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported <= set(sys.stdlib_module_names)
