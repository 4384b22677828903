"""What must stay on the machine of the user stays there: planted, then looked for elsewhere."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import tree
from platform_client import platform_user
from platform_state import Fault

SECRETS = (
    *("wandb-token.txt", "token.txt", "my_token_2.txt", "wandb-token", "wandb.token"),
    *(".env", ".env.local", ".netrc", "_netrc", "deploy.key", "deploy.pem"),
    *("wandb_api_key", "api-key.txt"),
)
STAY = (
    *SECRETS,
    *(f"modules/{name}" for name in SECRETS),
    *("data/train.bin", "results/abc/journal.jsonl", "wandb/run-1/files/output.log"),
    *(".venv/bin/python", "venv/pyvenv.cfg", "env/bin/activate"),
    *("mine/pyvenv.cfg", "mine/lib/python3.11/site-packages/torch/__init__.py"),
    *("modules/__pycache__/train.cpython-311.pyc", ".mypy_cache/x", ".pytest_cache/x"),
)
TRAVEL = (
    *("modules/tokenizer.py", "modules/data/loader.py", "modules/wandb/hooks.py"),
    *("src/train.py", "config/other.yaml", "modules/results.py", "keys.py"),
)


@pytest.fixture
def planted(project: Path, tmp_path: Path) -> Path:
    folder = tmp_path / project.name
    shutil.copytree(project, folder)
    for name in (*STAY, *TRAVEL):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("planted")
    return folder


def test_git_adds_none_of_them(project: Path, planted: Path) -> None:
    git = ["git", "-c", "core.excludesFile=", "-C", str(planted)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    listed = subprocess.run([*git, "ls-files"], check=True, capture_output=True, text=True)
    assert set(listed.stdout.splitlines()) == {*tree(project), *TRAVEL}


@pytest.mark.doors
def test_nothing_of_them_is_uploaded(project: Path, planted: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "-C", planted, "init", "-q"], check=True)
    with platform_user("apolo-flow", planted, tmp_path) as user:
        user.add_secret()
        user.run("neuro-flow", "upload", "ALL")
        user.run("neuro-flow", "build", "myimage")
        (image,) = user.platform.images.values()
        storage = user.platform.files / "hyperparameter_tuning_test"
        assert set(tree(storage / "live")) == {*tree(project), *TRAVEL}
        assert image.context == {*tree(project), *TRAVEL}

        user.platform.images.clear()
        user.platform.faults.append(Fault("POST .*/jobs", 500, times=1000))  # the copy is enough
        user.bake(rc=None)
        (copy,) = (storage / "sweeps").iterdir()
        (context,) = (storage / "image").iterdir()
    assert set(tree(copy)) == {*tree(project), *TRAVEL}
    assert set(tree(context)) == {"Dockerfile", "requirements.txt", "constraints.txt"}
