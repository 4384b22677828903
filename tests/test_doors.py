"""Whichever way somebody comes in, the same project: real tools, each in its own environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import Bake, tree
from environments import commands, environment
from pages import blocks

pytestmark = pytest.mark.doors

NAME = "Hyperparameter tuning test"
SLUG = "hyperparameter-tuning-test"
TOOLS = {
    "cookiecutter-1.7.2": ["cookiecutter==1.7.2"],
    "cookiecutter-1.7.3": ["cookiecutter==1.7.3"],
    "cookiecutter-2.1.1": ["cookiecutter==2.1.1"],
    "cookiecutter-2.6.0": ["cookiecutter==2.6.0"],
    "cookiecutter-2.7.1": ["cookiecutter==2.7.1"],
    "cruft": ["cruft==2.16.0", "cookiecutter==2.7.1"],
    "neuro": [
        "neuro-cli==21.12.2",
        "neuro-sdk==21.12.2",
        "rich==10.16.2",
        "cookiecutter==1.7.3",
    ],
}


def tool(name: str) -> Path:
    """The folder of that tool's commands."""
    return commands(environment(name, *TOOLS[name]))


@pytest.fixture(scope="module")
def expected(bake: Bake) -> dict[str, bytes]:
    return tree(bake(project_name=NAME))


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A home of its own, so that no setting of the machine's user plays a part."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[user]\n name = Somebody\n email = somebody@example.com\n[init]\n defaultBranch = main\n"
    )
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return {**kept, "HOME": str(home), "USERPROFILE": str(home), "LC_ALL": "C.UTF-8"}


def run(
    command: Sequence[str | Path], cwd: Path, env: dict[str, str], answers: str = ""
) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        input=answers,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    return result


def git(folder: Path, env: dict[str, str], *arguments: str) -> None:
    run(["git", *arguments], folder, env)


@pytest.fixture
def repository(template: Path, tmp_path: Path, env: dict[str, str]) -> Path:
    """A git repository as published: the template on `release`, something else on `main`."""
    work = tmp_path / "work"
    bare = tmp_path / "neuro-inc" / "cookiecutter-neuro-project.git"
    work.mkdir()
    git(work, env, "init", "--quiet")
    (work / "README.md").write_text("Not released yet.\n")
    git(work, env, "add", ".")
    git(work, env, "commit", "--quiet", "-m", "Start")
    git(work, env, "checkout", "--quiet", "-b", "release")
    shutil.copytree(template, work, dirs_exist_ok=True)
    git(work, env, "add", "--force", ".")
    git(work, env, "commit", "--quiet", "-m", "Release")
    git(work, env, "clone", "--quiet", "--bare", str(work), str(bare))
    git(bare, env, "symbolic-ref", "HEAD", "refs/heads/main")
    git(work, env, "remote", "add", "origin", str(bare))
    return bare


@pytest.mark.parametrize("version", ["1.7.2", "1.7.3", "2.1.1", "2.6.0", "2.7.1"])
def test_every_cookiecutter_asks_the_guides_questions_and_gives_the_same_bytes(
    version: str,
    template: Path,
    expected: dict[str, bytes],
    tmp_path: Path,
    env: dict[str, str],
) -> None:
    command = tool(f"cookiecutter-{version}") / "cookiecutter"

    asked = run([command, template], tmp_path, env, answers=f"{NAME}\n\n\n")
    order = [asked.stdout.index(key) for key in ("project_name", "project_slug", "code_directory")]
    assert order == sorted(order)
    assert "_copy_without_render" not in asked.stdout
    assert tree(tmp_path / SLUG) == expected

    run([command, "--no-input", template, "project_slug=only-slug"], tmp_path, env)
    assert (tmp_path / "only-slug" / "modules").is_dir()


def test_git_url_with_a_branch(
    repository: Path,
    expected: dict[str, bytes],
    tmp_path: Path,
    env: dict[str, str],
) -> None:
    command = tool("cookiecutter-2.7.1") / "cookiecutter"
    options = ["--checkout", "release", "--no-input", f"project_name={NAME}"]
    run([command, repository.as_uri(), *options], tmp_path, env)
    assert tree(tmp_path / SLUG) == expected


class ConfigAPI(BaseHTTPRequestHandler):
    """The one call that `neuro config login-with-token` makes."""

    def do_GET(self) -> None:
        here = f"http://{self.headers['Host']}"
        urls = ("auth", "token", "logout", "headless_callback")
        cluster = ("registry", "storage", "users", "monitoring", "secrets", "disks", "buckets")
        answer = {
            **{f"{name}_url": here for name in urls},
            "client_id": "client",
            "audience": "audience",
            "clusters": [
                {
                    "name": "default",
                    "resource_presets": [],
                    **{f"{name}_url": here for name in cluster},
                }
            ],
        }
        known = self.path == "/api/v1/config"
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer if known else {}).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the server would write to the terminal."""


@pytest.fixture
def config_api() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), ConfigAPI) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/api/v1"
        server.shutdown()
        thread.join(10)


def test_neuro_project_init(
    repository: Path,
    expected: dict[str, bytes],
    config_api: str,
    tmp_path: Path,
    env: dict[str, str],
) -> None:
    published = tmp_path.as_uri() + "/"
    git(tmp_path, env, "config", "--global", f"url.{published}.insteadOf", "https://github.com/")
    neuro: list[str | Path] = [tool("neuro") / "neuro"]
    neuro += ["--disable-pypi-version-check", "--skip-stats"]
    run([*neuro, "config", "login-with-token", "token", config_api], tmp_path, env)

    run([*neuro, "project", "init"], tmp_path, env, answers=f"{NAME}\n\n\n")
    assert tree(tmp_path / SLUG) == expected

    # The name given, and a second run, which first asks whether to download again.
    second = tmp_path / "second"
    second.mkdir()
    run([*neuro, "project", "init", NAME], second, env, answers="y\n\n\n\n")
    assert tree(second / SLUG) == expected


def test_cruft_brings_a_change_of_the_template_and_keeps_an_edit(
    repository: Path,
    expected: dict[str, bytes],
    tmp_path: Path,
    env: dict[str, str],
) -> None:
    cruft = tool("cruft") / "cruft"
    release = ["--checkout", "release"]  # `cruft check` and `cruft update` forget it
    answers = ["--no-input", "--extra-context", json.dumps({"project_name": NAME})]
    run([cruft, "create", repository.as_uri(), *release, *answers], tmp_path, env)
    baked = tmp_path / SLUG
    created = tree(baked)
    assert created.pop(".cruft.json")
    assert created == expected

    git(baked, env, "init", "--quiet")
    git(baked, env, "add", "--force", ".")
    git(baked, env, "commit", "--quiet", "-m", "Created")
    run([cruft, "check", *release], baked, env)
    assert run([cruft, "diff"], baked, env).stdout.strip() == ""

    requirements = baked / "requirements.txt"
    requirements.write_text(requirements.read_text() + "a-library-of-my-own==1.0\n")
    git(baked, env, "commit", "--quiet", "--all", "-m", "My edit")

    work = tmp_path / "work"
    changed = work / "{{cookiecutter.project_slug}}" / ".gitignore"
    changed.write_text("# {{ cookiecutter.project_slug }}\n" + changed.read_text())
    git(work, env, "commit", "--quiet", "--all", "-m", "Change")
    git(work, env, "push", "--quiet", "origin", "release")

    with pytest.raises(AssertionError, match="out of date"):
        run([cruft, "check", *release], baked, env)
    run([cruft, "update", "--skip-apply-ask", *release], baked, env)
    run([cruft, "check", *release], baked, env)
    assert (baked / ".gitignore").read_text().startswith(f"# {SLUG}\n")
    assert requirements.read_text().endswith("a-library-of-my-own==1.0\n")
    assert not list(baked.rglob("*.rej"))


PROGRAM = """\
import argparse, wandb
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=int)
x = parser.parse_args().x
wandb.init()
wandb.log({"score": x})
with open("notes.txt", "a") as file:
    file.write(f"{x} ")
"""
SWEEP = """\
program: program.py
method: grid
metric: {name: score, goal: maximize}
parameters: {x: {values: [1, 2, 3, 4]}}
"""


def remedies(project: Path) -> list[str]:
    """The commands under `Update` in the project's README: link, update, replace."""
    page = (project / "README.md").read_text()
    section = re.search(r"^## Update\n.*?(?=^## )", page, re.M | re.S)
    assert section
    return [block.text for block in blocks(section[0])]


def hypertrain(project: Path, env: dict[str, str], *arguments: str) -> str:
    environ = env | {"WANDB_MODE": "offline"}
    return run([sys.executable, "-m", "hypertrain", *arguments], project, environ).stdout


def version(project: Path, env: dict[str, str]) -> str:
    return hypertrain(project, env, "--version").split()[1].rstrip(",")


@pytest.fixture
def aged(repository: Path, tmp_path: Path, env: dict[str, str]) -> Path:
    """A project of a version that is tagged, half through a sweep; `release` has the next one."""
    published = tmp_path.as_uri() + "/"
    git(tmp_path, env, "config", "--global", f"url.{published}.insteadOf", "https://github.com/")
    command = tool("cookiecutter-2.7.1") / "cookiecutter"
    options = ["--checkout", "release", "--no-input", f"project_name={NAME}"]
    run([command, repository.as_uri(), *options], tmp_path, env)
    project, work = tmp_path / SLUG, tmp_path / "work"
    git(work, env, "tag", version(project, env))
    init = work / "{{cookiecutter.project_slug}}" / "hypertrain" / "__init__.py"
    init.write_text(re.sub(r'(__version__ = )".*"', r'\1"99.0"', init.read_text()))
    git(work, env, "commit", "--quiet", "--all", "-m", "Next version")
    git(work, env, "push", "--quiet", "--tags", "origin", "release")

    (project / "program.py").write_text(PROGRAM)
    (project / "sweep.yaml").write_text(SWEEP)
    hypertrain(project, env, "--sweep", "sweep.yaml", "--count", "2")
    git(project, env, "init", "--quiet")
    git(project, env, "add", ".")
    git(project, env, "commit", "--quiet", "-m", "Mine")
    return project


@pytest.mark.parametrize("remedy", ["cruft", "folder"])
def test_a_project_is_updated_as_its_readme_says_and_its_sweeps_go_on(
    remedy: str, aged: Path, env: dict[str, str]
) -> None:
    link, update, replace = remedies(aged)
    if remedy == "cruft":
        there = env | {"PATH": f"{tool('cruft')}{os.pathsep}{env['PATH']}"}
        linked = link.replace("VERSION", version(aged, env))
        run(["sh", "-e", "-c", linked], aged, there, answers=f"{NAME}\n\n\n\n")
        run(["sh", "-e", "-c", update], aged, there)
    else:
        run(["sh", "-e", "-c", replace], aged, env)
        assert not (aged / "new").exists()
    assert version(aged, env) == "99.0"
    assert (aged / "program.py").read_text() == PROGRAM
    shown = hypertrain(aged, env, "--sweep", "sweep.yaml")
    assert shown.partition("Leaderboard")[2].count(" completed") == 4
    assert sorted((aged / "notes.txt").read_text().split()) == ["1", "2", "3", "4"]
