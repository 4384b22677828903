"""What README and the guide tell people to type is typed here, where nothing is set up."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from conftest import ROOT, Bake, tree
from pages import EXCUSES, GUIDES, README, blocks

PAGES = [README, ROOT / "CONTRIBUTING.md", *GUIDES.values()]
NAME = "Hyperparameter tuning test"


def commands(page: str) -> list[str]:
    """The blocks that can be run here."""
    shells = [block for block in blocks(page) if block.language == "sh"]
    assert {block.excuse for block in shells} <= {"", *EXCUSES}
    return [block.text for block in shells if not block.excuse]


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A new user's: Python with pip, and what this machine needs to reach packages at all."""
    home = tmp_path_factory.mktemp("home")
    settings = Path.home() / ".config" / "pip" / "pip.conf"
    if settings.is_file():
        (home / ".config" / "pip").mkdir(parents=True)
        shutil.copy(settings, home / ".config" / "pip")
    cache = subprocess.run(
        [sys.executable, "-m", "pip", "cache", "dir"], check=True, capture_output=True, text=True
    )
    reach = re.compile(r"(?i)PIP_.+|.+_PROXY|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE")
    return {
        **{name: value for name, value in os.environ.items() if reach.fullmatch(name)},
        "PIP_CACHE_DIR": cache.stdout.strip(),
        "PATH": os.pathsep.join([str(Path(sys.base_exec_prefix, "bin")), "/usr/bin", "/bin"]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
    }


def sh(command: str, cwd: Path, environ: dict[str, str], timeout: int) -> str:
    """What it prints, from a shell that ends with the first command that fails."""
    shell = subprocess.Popen(
        ["/bin/sh", "-e", "-c", command],
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = shell.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, 9)
        output, _ = shell.communicate()
        pytest.fail(f"{command} did not end in {timeout} s:\n{output}")
    assert shell.returncode == 0, output
    assert "Traceback" not in output
    return output


@pytest.fixture(scope="module")
def tried(
    template: Path, tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]
) -> tuple[str, Path]:
    """What README's first command shows on a fresh clone, and the project that it leaves."""
    clone = tmp_path_factory.mktemp("somewhere") / "a clone"
    shutil.copytree(template, clone)
    shutil.copy(ROOT / "try_it.py", clone)
    output = sh(commands(README.read_text())[0], clone, environ, timeout=900)
    return output, clone / "try-it" / "hyperparameter-tuning-test"


def test_one_command_from_a_clone_to_a_leaderboard(tried: tuple[str, Path]) -> None:
    output, project = tried
    board = output.partition("Leaderboard")[2]
    assert len(re.findall(r"^ *\d+ +\d+ +[\d.e-]+ .* completed *$", board, re.M)) == 12
    assert f"\n{repeat_line(output)}\n  python modules/train.py --lr=" in board
    assert (project / "README.md").is_file()


def repeat_line(output: str) -> str:
    """What stands above the command, by how many trials the leaderboard calls the first."""
    firsts = len(re.findall(r"^ *1 +\d+ +[\d.e-]+ .* completed *$", output, re.M))
    assert firsts
    equals = f" (one of {firsts} equals)" if firsts > 1 else ""
    return f"Repeat the best trial{equals}:"


def test_readme_shows_what_the_command_prints(tried: tuple[str, Path]) -> None:
    """Trials end in no fixed order and accuracy differs a little between machines."""
    output = tried[0]
    (shown,) = (block.text for block in blocks(README.read_text()) if block.language == "text")
    assert repeat_line(shown) in shown.splitlines()
    for line in shown.replace(repeat_line(shown), repeat_line(output)).splitlines():
        words = re.sub(r"\d[\d.]*s?\b|sgd|adam|const|cosine", "0", line).split()
        pattern = r"\s+".join(re.escape(word).replace("0", r"[\w.]+") for word in words)
        assert line.strip() == "..." or re.search(pattern, output), line


def share_packages(there: Path, here: Path) -> None:
    """A new environment that finds the packages of another: pip has little left to install."""
    venv.create(here, symlinks=True, with_pip=True)
    (packages,) = here.glob("lib/python*/site-packages")
    (others,) = there.glob("lib/python*/site-packages")
    (packages / "shared.pth").write_text(f"{others}\n")


def test_the_projects_readme(
    tried: tuple[str, Path], bake: Bake, environ: dict[str, str], tmp_path: Path
) -> None:
    """Also lints, types and tests the project, under a name and a folder that nobody expects."""
    baked = bake(
        project_name="`Ёж` & \"co\" 'n' <b> #1: *", project_slug="x-1", code_directory="_k9"
    )
    project = tmp_path / "another place" / "x-1"
    shutil.copytree(baked, project)
    share_packages(tried[1] / ".venv", project / ".venv")
    shown = sh("".join(commands((project / "README.md").read_text())), project, environ, 900)
    for evidence in ("best accuracy01/valid", "Leaderboard", "All checks passed", " passed in "):
        assert evidence in shown
    assert (project / ".venv" / "bin" / "mypy").is_file()


def test_the_guide_on_one_machine(
    tried: tuple[str, Path], bake: Bake, environ: dict[str, str], tmp_path: Path
) -> None:
    project = tmp_path / "hyperparameter-tuning-test"
    shutil.copytree(bake(project_name=NAME), project)
    for block in blocks(GUIDES["en"].read_text()):
        name, _, content = block.text.removeprefix("# ").partition("\n")
        if block.language == "python" or name in ("config/svm.yaml", "config/hyperband.yaml"):
            assert not (project / name).exists()
            (project / name).write_text(content)
    environ = environ | {"PATH": f"{tried[1]}/.venv/bin{os.pathsep}{environ['PATH']}"}
    shown = sh("".join(commands(GUIDES["en"].read_text())), project, environ, 600)
    assert len(re.findall(r"^\[\d+/12\]", shown, re.M)) == 12
    # Of each of the two random searches, of which hyperband may have stopped some trials early.
    assert len(re.findall(r"^\[\d+/8\]", shown, re.M)) == 8 + 8
    assert len(re.findall(r"^\[\d+/24\]", shown, re.M)) == 4 * 6
    assert "Confirmed on 6 fresh seeds: trial" in shown
    assert (project / "results" / "study.db").is_file()


def test_tests_are_run_by_readmes_command() -> None:
    (block,) = (b for b in blocks(README.read_text()) if b.excuse == "run by .ci/run")
    assert block.text.strip() in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text())
    for link in links:
        assert link.startswith("https://") or (page.parent / link).exists(), link


@pytest.mark.parametrize("page", [*PAGES, None], ids=lambda page: page.name if page else "project")
def test_files_named_exist(page: Path | None, project: Path) -> None:
    """A file that a page names is one of the repository, of a project, or of the page itself."""
    text = (page or project / "README.md").read_text()
    suffixes = "py|ya?ml|toml|txt|md|svg"
    named = set(re.findall(rf"`([\w./-]+\.(?:{suffixes})|[\w./-]+/|Dockerfile|\.\w+ignore)`", text))
    made = {"results/", "try-it/", "wandb/", "data/"}
    written = {block.text.removeprefix("# ").partition("\n")[0] for block in blocks(text)}
    folders = (project, project / ".neuro", ROOT)
    for name in {name.removeprefix("/project/") for name in named - made - written}:
        assert any((folder / name).exists() for folder in folders), name


def test_pictures_are_small_and_are_told_in_words() -> None:
    pictures = re.findall(r"<img [^>]+>", README.read_text())
    files = {*(ROOT / "docs" / "pictures").glob("*.svg"), *(ROOT / "docs").glob("pictures/*.png")}
    assert {ROOT / re.findall(r'src="([^"]+)"', one)[0] for one in pictures} == files
    assert all(len(re.findall(r'alt="([^"]*)"', one)[0]) > 40 for one in pictures)
    assert sum(file.stat().st_size for file in files) < 300_000
    assert not any("http" in re.sub(r'xmlns="[^"]+"|<!--.*?-->', "", f.read_text())
                   for f in files if f.suffix == ".svg")  # fmt: skip


def test_contributing_names_every_test_file() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for path in (ROOT / "tests").glob("test_*.py"):
        assert f"`tests/{path.name}`" in text, path


def test_the_version_is_that_of_the_changelog(project: Path) -> None:
    """What `--version` says needs neither git nor any other command."""
    headings = re.findall(r"^## (\S+?),? ", (ROOT / "CHANGELOG.md").read_text(), re.M)
    said = subprocess.run(
        [sys.executable, "-m", "hypertrain", "--version"],
        cwd=project,
        env={"PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert said == f"hypertrain {headings[0]}, of cookiecutter-neuro-project\n"
    assert re.fullmatch(r"\d+\.\d+", headings[0])
    release = (ROOT / "CONTRIBUTING.md").read_text().partition("## Release")[2]
    assert "`hypertrain/__init__.py`" in release


def test_the_projects_readme_names_every_file(project: Path) -> None:
    """A newcomer wonders about no file but those that tools expect."""
    text = (project / "README.md").read_text()
    expected = {"README.md", "pyproject.toml", "requirements-dev.txt", ".neuro.toml"}
    for path in tree(project):
        folder = f"{path.partition('/')[0]}/"
        known = path in expected or folder == ".github/"
        assert known or f"`{path}`" in text or f"`{folder}`" in text, path


def test_actions_are_pinned_and_the_same_everywhere(project: Path) -> None:
    workflows = [*ROOT.glob(".github/workflows/*.yml"), *project.glob(".github/workflows/*.yml")]
    uses = {use for path in workflows for use in re.findall(r"uses: (.+)", path.read_text())}
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses)
    assert len({use.partition("@")[0] for use in uses}) == len(uses) == 2


def test_the_repository_is_clean() -> None:
    """Lint, format and types of hooks, tests and scripts; the project's own are checked above."""
    for tool in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        checked = subprocess.run(
            [sys.executable, "-m", *tool], cwd=ROOT, capture_output=True, text=True, timeout=300
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
