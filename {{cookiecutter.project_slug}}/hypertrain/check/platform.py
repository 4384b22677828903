"""Checks of what the platform needs: flows, login, secret, preset."""

import os
import re
import shlex
import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from hypertrain.check import bake, probe
from hypertrain.check.bake import Preset
from hypertrain.check.probe import Done, Finding

FLOW = Path(".neuro", "hypertrain.yml")
KEY = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+|\w{40,}|[^-]*-[\w-]{40,}")
"""The keys that wandb takes."""
PARSE, ANSWER = 60.0, 10.0
"""Seconds for the flows to be read, and for an answer of the platform."""
REFUSED = 77
"""The client's exit status when the platform does not accept its token."""


def check_flows(root: Path) -> Finding:
    """Both flows as the installed client reads them at a bake, without the network."""
    client = shutil.which("neuro-flow") or shutil.which("apolo-flow")
    if client is None:
        return Finding("unknown", "flows: there is no neuro-flow here; `pip install apolo-all`")
    words = [client, "--version"]
    found, done = probe.ask_inside(_read_flows, {}, words, root, {}, PARSE)
    if found is None:
        said = f"{Path(client).name} cannot be asked: {probe.reason(done)}"
        return Finding("unknown", f"flows: {said}")
    for name, (status, text) in found.items():
        if status != "ok":
            return Finding(status, f".neuro/{name}.yml: {' '.join(text.split())}")
    names = " and ".join(f".neuro/{name}.yml" for name in found)
    return Finding("ok", f"{names}: as {Path(client).name} wants them")


def _read_flows() -> None:
    """Runs in the client's interpreter, whatever its version, before the client itself."""
    import asyncio
    import importlib
    import inspect
    import json
    import os
    from pathlib import Path
    from types import SimpleNamespace as Object

    try:
        batch = importlib.import_module("apolo_flow.batch_runner")
        config = importlib.import_module("apolo_flow.config_loader")
        context = importlib.import_module("apolo_flow.context")
        parser = importlib.import_module("apolo_flow.parser")
        url = importlib.import_module("yarl").URL
    except ImportError:
        return
    # All that reading a flow asks of an account.
    account = Object(
        config=Object(project_name_or_raise="project", username="user"),
        parse=Object(str_to_uri=lambda uri, **_: url(uri)),
    )
    folder = parser.find_workspace(None)

    async def hypertrain() -> None:
        loader = config.BatchLocalCL(folder, account)
        flow = await context.RunningBatchFlow.create(loader, "hypertrain", "bake", {})
        await batch.check_no_cycles(flow)
        await batch.check_local_deps(flow)
        await batch.check_expressions(flow)

    async def live() -> None:
        flow = await context.RunningLiveFlow.create(config.LiveLocalCL(folder, account))
        for job in flow.job_ids:
            if (await flow.get_meta(job)).multi:
                words = inspect.signature(flow.get_multi_job).parameters
                old = {"args": None} if "args" in words else {}
                await flow.get_multi_job(job, suffix="1", params={}, **old)
            else:
                await flow.get_job(job, {})

    report = {}
    for read in (hypertrain, live):
        try:
            asyncio.run(read())
            report[read.__name__] = ("ok", "")
        except (AttributeError, ImportError, TypeError) as error:  # another client's inside
            report[read.__name__] = ("unknown", f"this client cannot be asked: {error!r}")
        except Exception as error:  # noqa: BLE001
            report[read.__name__] = ("problem", str(error))
    Path(os.environ["HYPERTRAIN_TASK"]).with_name("report.json").write_text(json.dumps(report))
    os._exit(0)


def bake_params(root: Path, given: Mapping[str, str]) -> dict[str, str]:
    """The params of a bake: what is given, then what the flow says; empty if it cannot be read."""
    try:
        flow = yaml.safe_load((root / FLOW).read_text(encoding="utf-8"))["params"]
        defaults = {
            name: str((param.get("default") if isinstance(param, dict) else param) or "")
            for name, param in flow.items()
        }
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        defaults = {}
    return {**defaults, **given}


def check_params(root: Path, given: Mapping[str, str]) -> Iterator[Finding]:
    """What a bake with these params would refuse; nothing if it would not."""
    known = bake_params(root, {})
    for name in given.keys() - known:
        use = ", ".join(known) or "none"
        yield Finding("problem", f"--param {name}: {FLOW} has no such param, only {use}")
    if known.keys() >= bake.PARAMS:
        for problem in bake.problems({**known, **given}, root):
            yield Finding("problem", problem)


def check_platform(root: Path, given: Mapping[str, str]) -> Generator[Finding, None, Preset | None]:
    """Login, then secret and preset of a bake, as the installed client tells.

    Returns: the preset, if it is there.
    """
    client = shutil.which("neuro") or shutil.which("apolo")
    if client is None:
        yield Finding("unknown", "platform: there is no neuro here; `pip install apolo-all`")
        return None
    name = Path(client).name
    unknown = "platform: login, secret and preset cannot be checked"
    if not _has_login():
        yield Finding("unknown", f"{unknown}: nobody is logged in; `{name} login`")
        return None

    def ask(words: list[str]) -> Done:
        return probe.run([client, *words], root, probe.environment(), ANSWER)

    with ThreadPoolExecutor() as pool:
        clusters, secrets = pool.map(ask, (["config", "get-clusters"], ["-q", "secret", "ls"]))
    if REFUSED in [answer.returncode for answer in (clusters, secrets) if answer]:
        yield Finding("problem", f"platform: refuses the login; `{name} logout` and `{name} login`")
    elif not clusters or clusters.returncode:
        yield Finding("unknown", f"{unknown}: {probe.reason(clusters)}")
    else:
        params = bake_params(root, given)
        presets, wanted = list(bake.presets(clusters.stdout)), params.get("preset", "")
        yield Finding("ok", "platform: logged in")
        yield _check_secret(name, secrets, params.get("token_secret_name", ""))
        yield check_preset(presets, wanted)
        return next((preset for preset in presets if wanted in ("", preset.name)), None)
    return None


def _has_login() -> bool:
    """The client keeps it in a file `db`, which is not to be opened: it holds a token."""
    folders = [
        os.environ.get("APOLO_CONFIG") or "~/.apolo",
        os.environ.get("NEUROMATION_CONFIG") or "~/.neuro",
    ]
    return any(Path(folder, "db").expanduser().exists() for folder in folders)


def _check_secret(client: str, secrets: Done, wanted: str) -> Finding:
    if not secrets or secrets.returncode:
        return Finding("unknown", f"secret {wanted}: cannot be checked: {probe.reason(secrets)}")
    if wanted in secrets.stdout.split():
        return Finding("ok", f"secret {wanted}: is there")
    remedy = f"`{client} secret add {wanted} @~/wandb-token.txt`"
    return Finding("problem", f"secret {wanted}: is missing; {remedy}")


def check_preset(presets: Sequence[Preset], wanted: str) -> Finding:
    if not presets:
        return Finding("unknown", "preset: the client names none")
    if not wanted:
        first = _describe(presets[0])
        return Finding("ok", f"preset: none is asked for, so {first}, the cluster's first one")
    for preset in presets:
        if preset.name == wanted:
            return Finding("ok", f"preset {_describe(preset)}")
    known = ", ".join(preset.name for preset in presets)
    return Finding("problem", f"preset {wanted}: is unknown; in {FLOW}, use one of {known}")


def _describe(preset: Preset) -> str:
    price = f"{preset.price} credits an hour" if preset.price else ""
    place = "preemptible" if preset.preemptible else ""
    return f"{preset.name}: " + ", ".join(filter(None, [preset.gpus or "no GPU", price, place]))


def check_key_file() -> Finding:
    """The file that the secret is made from."""
    path = Path.home() / (os.environ.get("WANDB_SECRET_FILE") or "wandb-token.txt")
    file = shlex.quote(str(path))
    try:
        mode, key = path.stat().st_mode, path.read_text("utf-8", "replace").strip()
    except FileNotFoundError as error:
        return Finding("unknown", f"{path}: {error.strerror}; not needed once the secret is there")
    except OSError as error:
        if path.is_dir():
            return Finding("problem", f"{path}: is a folder; move it away")
        return Finding("problem", f"{path}: cannot be read: {error.strerror}; `chmod 600 {file}`")
    write = f"rm {file} && (umask 077; printf %s YOUR_WANDB_KEY > {file})"
    if not KEY.fullmatch(key):
        what = "holds no W&B key (40 or more letters and digits)" if key else "is empty"
        return Finding("problem", f"{path}: {what}; `{write}`, then add the secret anew")
    if os.name == "posix" and mode & 0o077:
        return Finding("warning", f"{path}: others can read it; `chmod 600 {file}`")
    return Finding("ok", f"{path}: holds a key")
