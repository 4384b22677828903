"""`neuro-flow bake hypertrain` by the real clients; each job is a real process."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import tree
from platform_client import CLIENTS, KEY, User, platform_user
from platform_jobs import Job
from platform_state import API, TOKEN, Fault
from wandb_api import Server, serve

pytestmark = pytest.mark.doors
MakeUser = Callable[[str], User]
# Of the tests that bake many times, one client's are for the long run.
CLIENT = "neuro-flow"
ONE_QUICKLY = [CLIENT, pytest.param("apolo-flow", marks=pytest.mark.slow)]

# What stands in for `python -m hypertrain` where the flow alone is looked at.
COMMANDS = """
import os, pathlib, signal, sys, time
if sys.argv[1] == "start-sweep":
    {start}
else:
    {work}
"""
START = """
    (note,) = (word for word in sys.argv if word.startswith("--note="))
    print("::set-output name=sweep::team/project/abc")
    print("::set-output name=code::" + pathlib.Path(note).parent.name)
"""
REAL_START = "import hypertrain.real; sys.exit(hypertrain.real.main())"
WORK = "print('worked')"
STORAGE = "hyperparameter_tuning_test"


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
    """Replace the package's command by two statements; the image is there already."""
    command = user.project / "hypertrain/__main__.py"
    command.rename(command.with_name("real.py"))
    command.write_text(COMMANDS.format(start=start.strip(), work=work))
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
            user.add_secret(value=server.key + "\n")  # the guide's `echo` leaves it there
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
    (user.project / "config/other.yaml").touch()
    params = {
        "token_secret_name": "other-token",
        "preset": "gpu-small",
        "trials_per_gpu": "auto",
        "gpus_per_trial": "2",
        "sweep_file": "config/other.yaml",
        "life_span": "2d",
        "schedule_timeout": "3h",
        "wandb_entity": "team",
        "wandb_base_url": "http://127.0.0.1:9",
    }
    user.bake(*(word for name, value in params.items() for word in ("--param", name, value)))
    (start,) = user.platform.jobs_of("start-sweep")
    assert start.request["env"]["WANDB_SWEEPS_FILE"] == "config/other.yaml"
    assert {job.request["command"] for job in workers(user)} == {
        'python -m hypertrain worker --trials-per-gpu="auto" --gpus-per-trial="2" '
        '"team/project/abc"'
    }
    assert [job.text for job in workers(user)] == ["abcd\n"] * 5
    assert {job.request["preset_name"] for job in workers(user)} == {"gpu-small"}
    for job in [start, *workers(user)]:
        assert job.request["env"]["WANDB_ENTITY"] == "team"
        assert job.request["env"]["WANDB_BASE_URL"] == "http://127.0.0.1:9"
        assert job.request["schedule_timeout"] == 3 * 3600
    assert start.request["max_run_time_minutes"] == 60
    assert start.request["description"] == "Start the sweep"
    assert {job.request["max_run_time_minutes"] for job in workers(user)} == {2 * 24 * 60}
    titles = {f"Worker {number}" for number in (1, 2, 3, 4, 5)}
    assert {job.request["description"] for job in workers(user)} == titles
    assert not user.platform.tables.get("cache_entries")  # else the next bake would reuse the sweep


def test_forty_workers_at_a_time(user: User) -> None:
    meet = """
    here = pathlib.Path("results/here")
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

    # A secret that is gone when the job starts: only the job's status says so.
    user.platform.secrets.clear()
    user.platform.faults.append(Fault("GET .*/secrets", 500, times=1000))
    user.bake(rc=1)
    _, start = user.platform.jobs_of("start-sweep")
    assert "Missing secret wandb-token" in user.run("neuro", "status", start.id)
    assert not workers(user)


def test_a_lost_worker_leaves_the_others_alone(user: User) -> None:
    wait = "print('up', flush=True)\n    while not os.path.exists('results/go'): time.sleep(0.2)"
    commands(user, work=wait)
    bake = user.start("neuro-flow", "bake", "hypertrain", "--name", "mine")
    wait_for(lambda: [job.text for job in workers(user)] == ["up\n"] * 2)
    lost, other = workers(user)
    user.platform.crash(lost)
    wait_for(lambda: "failed" in user.run("neuro-flow", "inspect", "mine"))
    (user.platform.files / STORAGE / "results/go").touch()
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


REFUSED = [
    *(("workers", value) for value in ("0", "-1", "2.5", "abc", "", " 2", "257", "'\" %20 \\")),
    *(("sweep_file", value) for value in ("", "config/absent.yaml", "../train.yaml", "config")),
    ("preset", "gpu-k80-small-p"),
    ("token_secret_name", "absent"),
    *(("trials_per_gpu", value) for value in ("0", "many", "1.5")),
    *(("gpus_per_trial", value) for value in ("0", "auto")),
    ("sweep", "abc"),
    ("life_span", ""),
    ("schedule_timeout", ""),
]


@pytest.mark.parametrize("client", ONE_QUICKLY)
def test_wrong_params_are_refused_before_anything_is_made(make_user: MakeUser, client: str) -> None:
    user = make_user(client)
    user.add_secret()
    # What is refused is the project's own to say; that it comes through, each client's.
    for name, value in REFUSED if client == CLIENT else dict(REFUSED).items():
        shown = user.bake("--param", name, value, rc=0)  # no flow can change this status
        assert f"--param {name} {value!a}: " in shown, shown
        assert "Traceback" not in shown
        assert TOKEN not in shown
    assert not user.platform.jobs
    assert not user.platform.files.exists()


def code_of(job: Job) -> str:
    """The folder that a job sees as /project."""
    sources = [v["src_storage_uri"] for v in job.request["volumes"] if v["dst_path"] == "/project"]
    (source,) = sources
    return str(source).rpartition("/")[2]


def test_a_restart_joins_the_same_sweep_with_the_same_code(user: User) -> None:
    commands(user, REAL_START, "sys.exit(0 if os.path.exists('results/mended') else 'broken')")
    with serve() as server:
        user.add_secret(value=server.key)
        user.bake("--name", "mine", "--param", "wandb_base_url", server.url, rc=1)
        (user.project / "modules/train.py").write_text("edited")
        (user.platform.files / STORAGE / "results/mended").touch()
        user.run("neuro-flow", "restart", "mine")
        assert len(server.sweeps) == 1
    assert [job.status for job in workers(user)] == ["failed"] * 2 + ["succeeded"] * 2
    assert len({job.request["command"] for job in workers(user)}) == 1
    assert len({code_of(job) for job in workers(user)}) == 1


@pytest.mark.parametrize("client", ONE_QUICKLY)
def test_a_sweep_keeps_its_code_and_can_be_joined(make_user: MakeUser, client: str) -> None:
    user = make_user(client)
    commands(user, REAL_START, "print(open('version').read())")
    version = user.project / "version"
    with serve() as server:
        user.add_secret(value=server.key)
        server_is = ("--param", "wandb_base_url", server.url)
        version.write_text("first")
        user.bake(*server_is)
        (sweep,) = server.sweeps.values()
        version.write_text("second")
        user.bake(*server_is)
        user.bake(*server_is, "--param", "sweep", sweep.path, "--param", "workers", "3")
        assert len(server.sweeps) == 2
        shown = user.bake(*server_is, "--param", "sweep", "a-team/project/absent", rc=1)
        assert "start_sweep" in shown
    assert [job.text.strip() for job in workers(user)] == ["first"] * 2 + ["second"] * 2 + [
        "first"
    ] * 3
    *_, last = user.platform.jobs_of("start-sweep")
    assert last.text.endswith("hypertrain: a-team/project/absent: W&B has no such sweep\n")
    assert "Traceback" not in last.text


def test_what_is_uploaded_is_what_is_here(make_user: MakeUser) -> None:
    """Restored, deleted and edited files, and links into themselves or nowhere."""
    user = make_user("apolo-flow")
    commands(user)
    file = user.project / "modules/note [1].txt"
    for text in ("a new one", "restored"):
        file.write_text(text)
        os.utime(file, (1e9, 1e9))
        (user.project / text).touch()
        user.bake("--param", "workers", "1")
        *_, job = workers(user)
        copy = tree(user.platform.files / STORAGE / "sweeps" / code_of(job))
        assert copy == tree(user.project)
        (user.project / text).unlink()

    uploads = len([line for line in user.platform.requests if f"PUT {API}/storage/" in line])
    (user.project / "modules/around").symlink_to("..")
    (user.project / "modules/no*where").symlink_to("absent")
    shown = user.bake("--param", "workers", "1")
    assert "not copied, it leads into itself or nowhere: 'modules/around'" in shown
    *_, job = workers(user)
    copy = tree(user.platform.files / STORAGE / "sweeps" / code_of(job))
    (user.project / "modules/around").unlink()
    assert copy == tree(user.project)
    more = len([line for line in user.platform.requests if f"PUT {API}/storage/" in line]) - uploads
    assert more < 2 * len(copy), "the project travels once"


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


def test_several_trainings_at_a_time(user: User) -> None:
    commands(user)
    (user.project / "modules/train.py").write_text("import sys; print(sys.argv[1:])")
    user.run("neuro-flow", "upload", "ALL")
    for suffix, words in (("x", "--lr=0.1"), ("y", "--lr=0.1 --optimizer=adam")):
        shown = user.run("neuro-flow", "run", "multitrain", "-s", suffix, "--param", "args", words)
        assert str(words.split()) in shown


@pytest.mark.parametrize("action", [401, 429, 500, "drop"])
def test_a_failed_upload_ends_the_bake_with_its_reason(
    make_user: MakeUser, action: int | str
) -> None:
    """The client then ends with 0, which no flow can change."""
    user = make_user("apolo-flow")
    commands(user)
    user.platform.faults.append(Fault("PUT .*/storage/", action, times=1000))
    shown = user.bake(rc=0)
    assert "the upload has failed (neuro " in shown
    assert "Attempt #1 failed" in shown
    assert "Traceback" not in shown
    assert TOKEN not in shown
    assert not user.platform.jobs
