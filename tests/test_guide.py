"""The guide comes true: its commands at the real clients, its files as it shows them.

What it says of one machine is tried in `test_readme.py`, how a project is made in `test_doors.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wandb_api
from conftest import Bake
from pages import GUIDES, blocks
from platform_client import User, platform_user
from platform_jobs import Job

pytestmark = pytest.mark.doors

PAGE = blocks(GUIDES["en"].read_text(encoding="utf-8"))
SECRET, BAKE, WIDER, OTHER, LOOK, CANCEL, LEADERBOARD, FETCH = (
    block.text for block in PAGE if block.excuse == "needs the platform"
)
FILES = {
    name: content
    for block in PAGE
    if block.language in ("python", "yaml")
    for name, _, content in [block.text.removeprefix("# ").partition("\n")]
}


@pytest.fixture
def user(bake: Bake, tmp_path: Path) -> Iterator[User]:
    project = tmp_path / "hyperparameter-tuning-test"
    shutil.copytree(bake(project_name="Hyperparameter tuning test"), project)
    with platform_user("neuro-flow", project, tmp_path) as user:
        yield user


def typed(text: str) -> tuple[str, ...]:
    return ("sh", "-e", "-c", text)


def wait_for(user: User, baking: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, user.logs()
        assert baking.poll() is None, user.logs()
        time.sleep(0.2)


def workers(user: User) -> list[Job]:
    return user.platform.jobs_of("hypertrain worker")


def last_bake(user: User) -> str:
    """The id that a reader finds in the list."""
    shown = user.run("neuro-flow", "bakes", "--recent-last")
    found: list[str] = re.findall(r"\bbake-[\w-]+", shown)
    return found[-1]


def test_from_the_secret_to_the_results(user: User) -> None:
    flow = user.project / ".neuro" / "hypertrain.yml"
    storage = user.platform.files / "hyperparameter_tuning_test"
    with wandb_api.serve() as wandb:
        # As somebody does who has a W&B server of their own.
        address = re.compile(r'(wandb_base_url:\n +default: )""')
        flow.write_text(address.sub(rf'\1"{wandb.url}"', flow.read_text()))
        user.run(*typed(SECRET.replace("YOUR_WANDB_KEY", wandb.key)))

        baking = user.start(*typed(BAKE))
        wait_for(user, baking, lambda: any(storage.glob("results/checkpoints/*.pt")))
        bake = last_bake(user)
        (sweep,) = wandb.sweeps.values()
        looked = user.run(*typed(LOOK.replace("BAKE", bake)))
        assert f"{wandb.url}/{sweep.entity}/{sweep.project}/sweeps/{sweep.name}" in looked
        user.run(*typed(CANCEL.replace("BAKE", bake)))
        user.finish(baking, rc=130)
        assert len(workers(user)) == 2

        baking = user.start(*typed(WIDER))
        wait_for(user, baking, lambda: len(workers(user)) == 2 + 5)
        user.run(*typed(CANCEL.replace("BAKE", last_bake(user))))
        user.finish(baking, rc=130)
        assert all(job.done for job in user.platform.jobs.values())
        assert {job.request["preset_name"] for job in workers(user)[2:]} == {"gpu-small"}

        for name in ("modules/svm.py", "config/svm.yaml"):
            (user.project / name).write_text(FILES[name])
        matrix = re.compile(r"^ +strategy:\n +matrix:\n +id: .+\n", re.M)
        flow.write_text(matrix.sub(FILES[".neuro/hypertrain.yml"], flow.read_text()))
        user.run(*typed(OTHER))
        assert len(workers(user)) == 2 + 5 + 5
        sweep = list(wandb.sweeps.values())[-1]
        assert sweep.config["program"] == "modules/svm.py"
        runs = [run for run in wandb.runs.values() if "C" in run.params]
        assert [run.state for run in runs] == ["finished"] * 8

        command = LEADERBOARD.replace("ENTITY/PROJECT/SWEEP", sweep.path)
        environ = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "HOME": str(user.home),
            "WANDB_API_KEY": wandb.key,
            "WANDB_BASE_URL": wandb.url,
        }
        board = subprocess.run(
            typed(command),
            cwd=user.project,
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        assert board.count("finished") == 8
        assert "python modules/svm.py --C=" in board
        (report,) = user.project.glob("results/wandb-*/report.html")
        assert sweep.config["metric"]["name"] in report.read_text()

    user.run(*typed(FETCH))
    assert any(user.project.glob("results/platform/checkpoints/*.pt"))


def test_the_files_shown_are_the_projects(project: Path) -> None:
    name = "config/wandb-sweep.yaml"
    ours = re.sub(r"^#.*\n", "", (project / name).read_text(), flags=re.M)
    assert ours == FILES[name]
    files = {"modules/svm.py", "config/svm.yaml", "config/hyperband.yaml", ".neuro/hypertrain.yml"}
    assert set(FILES) == {name, *files}


def test_both_languages_show_the_same_code() -> None:
    assert blocks(GUIDES["ru"].read_text(encoding="utf-8")) == PAGE
