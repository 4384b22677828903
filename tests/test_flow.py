"""`neuro-flow bake hypertrain` by the real clients; each job is a real process."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from platform_client import CLIENTS, KEY, User, platform_user
from platform_jobs import Job
from platform_state import Fault
from wandb_api import Server, serve

pytestmark = pytest.mark.doors
MakeUser = Callable[[str], User]

# What stands in for `python -m hypertrain` where the flow alone is looked at.
COMMANDS = """
import os, pathlib, signal, sys, time
if sys.argv[1] == "start-sweep":
    {start}
else:
    {work}
"""
START = "print('::set-output name=sweep::team/project/abc')"
WORK = "print('worked')"


@pytest.fixture
def make_user(project: Path, tmp_path: Path) -> Iterator[MakeUser]:
    with ExitStack() as stack:

        def make(client: str) -> User:
            folder = tmp_path / client / project.name
            shutil.copytree(project, folder)
            return stack.enter_context(platform_user(client, folder, tmp_path / client))

        yield make


@pytest.fixture(params=CLIENTS)
def user(request: pytest.FixtureRequest, make_user: MakeUser) -> User:
    return make_user(request.param)


def commands(user: User, start: str = START, work: str = WORK) -> None:
    """Replace the package by two statements; the image is there already."""
    shutil.rmtree(user.project / "hypertrain")
    (user.project / "hypertrain").mkdir()
    text = COMMANDS.format(start=start, work=work)
    (user.project / "hypertrain/__main__.py").write_text(text)
    user.image()
    user.add_secret()


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def workers(user: User) -> list[Job]:
    return user.platform.jobs_of("hypertrain worker")


def test_one_command_trains_the_whole_grid(make_user: MakeUser) -> None:
    """From a fresh project: upload, image, sweep, two workers, twelve trained points, a link.

    Both clients at once, since W&B's agents spend most of their time waiting.
    """
    for package in ("torch", "wandb"):
        pytest.importorskip(package, reason=f"jobs need {package} in the tests' environment")
    with ExitStack() as stack:
        pairs = [(make_user(client), stack.enter_context(serve())) for client in CLIENTS]
        bakes = []
        for user, server in pairs:
            user.add_secret(value=server.key)
            bakes.append(
                user.start(
                    *("neuro-flow", "bake", "hypertrain", "--name", "mine"),
                    *("--param", "token_secret_name", "wandb-token"),
                    *("--param", "wandb_base_url", server.url),
                )
            )
        for (user, server), bake in zip(pairs, bakes, strict=True):
            check_grid(user, server, user.finish(bake, timeout=900))


def check_grid(user: User, server: Server, shown: str) -> None:
    (sweep,) = server.sweeps.values()
    link = f"{server.url}/{sweep.entity}/{sweep.project}/sweeps/{sweep.name}"
    start = user.run("neuro-flow", "show", "mine", "start_sweep")
    assert link in start
    assert f"sweep: {sweep.path}" in shown
    assert len(user.platform.images) == 1
    assert len(workers(user)) == 2
    runs = server.runs.values()
    points = sorted(tuple(sorted(run.params.items())) for run in runs)
    assert len(points) == len(set(points)) == 12
    assert {run.state for run in runs} == {"finished"}
    assert all(run.history[-1]["accuracy01/valid"] > 0 for run in runs)
    assert server.key not in shown + user.logs()


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
    assert {job.request["command"] for job in workers(user)} == {
        'python -m hypertrain worker "team/project/abc"'
    }
    assert [job.text for job in workers(user)] == ["abcd\n"] * 5
    assert {job.request["preset_name"] for job in workers(user)} == {"gpu-small"}
    for job in [start, *workers(user)]:
        assert job.request["env"]["WANDB_ENTITY"] == "team"
        assert job.request["env"]["WANDB_BASE_URL"] == "http://127.0.0.1:9"
        assert job.request["max_run_time_minutes"] > 0
    assert not user.platform.tables.get("cache_entries")  # else the next bake would reuse the sweep


def test_forty_workers_at_a_time(user: User) -> None:
    meet = """
    here = pathlib.Path("here")
    here.mkdir(exist_ok=True)
    (here / os.environ["NEURO_JOB_ID"]).touch()
    end = time.monotonic() + 150
    while len(list(here.iterdir())) < 40:  # each ends well only if it sees all of them
        time.sleep(0.5)
        if time.monotonic() > end:
            sys.exit("alone")
"""
    commands(user, work=meet.strip())
    user.bake("--param", "workers", "40")
    assert [job.status for job in workers(user)] == ["succeeded"] * 40


def test_a_failing_start_ends_the_bake(user: User) -> None:
    commands(user, start="sys.exit('hypertrain: the key is wrong')")
    assert "start_sweep" in user.bake("--name", "mine", rc=1)
    assert "hypertrain: the key is wrong" in user.run("neuro-flow", "show", "mine", "start_sweep")

    user.bake("--param", "token_secret_name", "absent", rc=1)
    _, start = user.platform.jobs_of("start-sweep")
    assert "absent" in user.run("neuro", "status", start.id)
    assert not workers(user)


def test_a_lost_worker_leaves_the_others_alone(user: User) -> None:
    wait = "print('up', flush=True)\n    while not os.path.exists('go'): time.sleep(0.2)"
    commands(user, work=wait)
    bake = user.start("neuro-flow", "bake", "hypertrain", "--name", "mine")
    wait_for(lambda: [job.text for job in workers(user)] == ["up\n"] * 2)
    lost, other = workers(user)
    user.platform.crash(lost)
    wait_for(lambda: "failed" in user.run("neuro-flow", "inspect", "mine"))
    (user.platform.files / "hyperparameter_tuning_test/go").touch()
    user.finish(bake, rc=1)
    assert (lost.status, lost.exit_code, other.status) == ("failed", 137, "succeeded")


def test_cancel_stops_every_job(user: User) -> None:
    goodbye = "signal.signal(signal.SIGTERM, lambda *_: sys.exit('bye'))"
    commands(user, work=f"{goodbye}; print('up', flush=True); time.sleep(300)")
    bake = user.start("neuro-flow", "bake", "hypertrain", "--name", "mine")
    wait_for(lambda: [job.text for job in workers(user)] == ["up\n"] * 2)
    assert "running" in user.run("neuro-flow", "bakes")
    user.run("neuro-flow", "cancel", "mine")
    user.finish(bake, rc=130)
    wait_for(lambda: all(job.done for job in user.platform.jobs.values()))
    assert [(job.status, job.text) for job in workers(user)] == [("cancelled", "up\nbye\n")] * 2
    assert "cancelled" in user.run("neuro-flow", "inspect", "mine")
    assert "worker_1" not in user.run("neuro-flow", "ps")


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


@pytest.mark.parametrize("action", [401, 429, 500, "drop"])
def test_no_upload_no_search(make_user: MakeUser, action: int | str) -> None:
    user = make_user("apolo-flow")
    commands(user)
    user.platform.faults.append(Fault("PUT .*/storage/", action, times=1000))
    user.bake(rc=None)
    assert not user.platform.jobs


def test_an_upload_that_fails_later_is_told(make_user: MakeUser) -> None:
    """The client then ends with 0, which no flow can change; the context's upload goes first."""
    user = make_user("apolo-flow")
    commands(user)
    user.platform.faults.append(Fault("PUT .*/research/hyperparameter_tuning_test/", 500, 1000))
    shown = user.bake(rc=0)
    assert "injected fault" in shown
    assert "Attempt #1 failed" in shown
    assert not user.platform.jobs
