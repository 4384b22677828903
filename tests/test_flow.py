"""`neuro-flow bake hypertrain`: the real clients, each job a real process on a stand-in platform."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from platform_api import Fault
from platform_client import CLIENTS, KEY, User, platform_user
from platform_jobs import Job

pytestmark = pytest.mark.doors

# Commands that stand in for `python -m hypertrain` where the flow alone is looked at.
START = "print('::set-output name=sweep::team/project/abc')"
WORK = "print('worked')"
COMMANDS = """
import os, pathlib, signal, sys, time
verb = sys.argv[1]
if verb == "start-sweep":
    {start}
else:
    {work}
"""


@pytest.fixture(params=CLIENTS)
def user(
    request: pytest.FixtureRequest, project: Path, tmp_path: Path
) -> Iterator[User]:
    folder = tmp_path / project.name
    shutil.copytree(project, folder)
    with platform_user(request.config.cache, request.param, folder, tmp_path) as user:
        yield user


def commands(user: User, start: str = START, work: str = WORK) -> None:
    """Replace the package by two statements; the image is there already."""
    shutil.rmtree(user.project / "hypertrain")
    (user.project / "hypertrain").mkdir()
    text = COMMANDS.format(start=start, work=work)
    (user.project / "hypertrain/__main__.py").write_text(text)
    user.image()
    user.add_secret()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def workers(user: User) -> list[Job]:
    return user.platform.jobs_of("hypertrain worker")


def test_the_flow_of_the_guide(user: User) -> None:
    commands(user, start="print('https://link'); print('::set-output name=url::https://link'); " + START)
    shown = user.bake("--param", "token_secret_name", "wandb-token")
    assert "url: https://link" in shown
    (start,) = user.platform.jobs_of("start-sweep")
    assert start.request["env"]["WANDB_SWEEPS_FILE"] == "config/wandb-sweep.yaml"
    assert {job.request["command"] for job in workers(user)} == {
        'python -m hypertrain worker "team/project/abc"'
    }
    assert [job.text for job in workers(user)] == ["worked\n"] * 2
    assert all(job.request["preset_name"] == "cpu-small" for job in workers(user))
    assert all("max_run_time_minutes" in job.request for job in user.platform.jobs.values())
    assert KEY not in shown + "".join(job.text for job in user.platform.jobs.values())


def test_everything_the_user_may_change(user: User) -> None:
    commands(user, work="print(os.environ['WANDB_API_KEY'][:4])")
    user.add_secret("other-token", "abcd" * 10)
    flow = user.project / ".neuro/hypertrain.yml"
    edited = re.sub(r"id: \$\[\[ range.*", "id: [1, 2, 3, 4, 5]", flow.read_text())
    flow.write_text(edited)
    params = {
        "token_secret_name": "other-token",
        "preset": "gpu-small",
        "sweep_file": "config/other.yaml",
        "wandb_entity": "team",
        "wandb_base_url": "http://127.0.0.1:9",
    }
    user.bake(*(word for name, value in params.items() for word in ("--param", name, value)))
    (start,) = user.platform.jobs_of("start-sweep")
    assert start.request["env"]["WANDB_SWEEPS_FILE"] == "config/other.yaml"
    assert [job.text for job in workers(user)] == ["abcd\n"] * 5
    assert {job.request["preset_name"] for job in workers(user)} == {"gpu-small"}
    for job in [start, *workers(user)]:
        assert job.request["env"]["WANDB_ENTITY"] == "team"
        assert job.request["env"]["WANDB_BASE_URL"] == "http://127.0.0.1:9"


def test_forty_workers_at_a_time(user: User) -> None:
    # Each ends well only if it sees all forty.
    meet = (
        "here = pathlib.Path('here'); here.mkdir(exist_ok=True); "
        "(here / os.environ['NEURO_JOB_ID']).touch(); end = time.monotonic() + 90\n"
        "    while len(list(here.glob('job-*'))) < 40:\n"
        "        time.sleep(0.5)\n"
        "        if time.monotonic() > end: sys.exit('alone')"
    )
    commands(user, work=meet)
    user.bake("--param", "workers", "40", timeout=200)
    assert len(workers(user)) == 40


def test_a_failing_start_ends_the_bake(user: User) -> None:
    commands(user, start="sys.exit('hypertrain: the key is wrong')")
    shown = user.bake("--name", "mine", rc=1)
    assert "start_sweep" in shown
    assert not workers(user)
    assert "hypertrain: the key is wrong" in user.run("neuro-flow", "show", "mine", "start_sweep")


def test_a_missing_secret_ends_the_bake(user: User) -> None:
    commands(user)
    user.bake("--param", "token_secret_name", "absent", rc=1)
    assert not workers(user)
    (start,) = user.platform.jobs_of("start-sweep")
    assert "absent" in user.run("neuro", "status", start.id)


def test_a_lost_worker_leaves_the_others_alone(user: User) -> None:
    slow = "print('up', flush=True); [time.sleep(0.5) for _ in iter(lambda: os.path.exists('go'), True)]"
    commands(user, work=slow)
    bake = user.start("neuro-flow", "bake", "hypertrain")
    wait_for(lambda: [job.text for job in workers(user)] == ["up\n"] * 2)
    lost, other = workers(user)
    user.platform.crash(lost)
    wait_for(lambda: lost.done)
    time.sleep(3)  # the executor looks every second
    (user.platform.files / "hyperparameter_tuning_test/go").touch()
    shown, _ = bake.communicate(timeout=60)
    assert (lost.status, lost.exit_code, other.status) == ("failed", 137, "succeeded")
    assert bake.returncode == 1, shown


def test_cancel_stops_every_job(user: User) -> None:
    goodbye = (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('bye')); print('up', flush=True); "
        "time.sleep(300)"
    )
    commands(user, work=goodbye)
    bake = user.start("neuro-flow", "bake", "hypertrain", "--name", "mine")
    wait_for(lambda: [job.text for job in workers(user)] == ["up\n"] * 2)
    assert "running" in user.run("neuro-flow", "bakes")
    user.run("neuro-flow", "cancel", "mine")
    shown, _ = bake.communicate(timeout=60)
    assert bake.returncode == 130, shown
    wait_for(lambda: all(job.done for job in user.platform.jobs.values()))
    assert [(job.status, job.text) for job in workers(user)] == [("cancelled", "up\nbye\n")] * 2
    assert "cancelled" in user.run("neuro-flow", "inspect", "mine")
    assert "worker_1" not in user.run("neuro-flow", "ps")


@pytest.mark.parametrize("action", [401, 429, 500, "drop"])
def test_no_upload_no_search(user: User, action: int | str) -> None:
    commands(user)
    user.platform.faults.append(Fault("PUT .*/storage/", action, times=1000))
    user.bake(rc=None)
    assert not user.platform.jobs


def test_live_jobs(user: User) -> None:
    commands(user)
    (user.project / "modules/train.py").write_text(
        "import os; print(os.getcwd(), os.environ['WANDB_API_KEY'][:4])"
    )
    user.run("neuro-flow", "upload", "ALL")
    assert f"/project {KEY[:4]}" in user.run("neuro-flow", "run", "train")
    user.run("neuro-flow", "run", "remote_debug")
    user.platform.images.clear()
    user.run("neuro-flow", "build", "myimage")
    assert len(user.platform.images) == 1
