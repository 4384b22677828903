"""Checks of what the platform needs: flows, login, secret, preset."""

import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from hypertrain.check import probe
from hypertrain.check.probe import Done, Finding

FLOW = Path(".neuro", "hypertrain.yml")
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


def check_platform(root: Path) -> Iterator[Finding]:
    """Login, then secret and preset, as the installed client tells."""
    client = shutil.which("neuro") or shutil.which("apolo")
    if client is None:
        yield Finding("unknown", "platform: there is no neuro here; `pip install apolo-all`")
        return
    name = Path(client).name
    unknown = "platform: login, secret and preset cannot be checked"
    if not _has_login():
        yield Finding("unknown", f"{unknown}: nobody is logged in; `{name} login`")
        return

    def ask(words: list[str]) -> Done:
        return probe.run([client, *words], root, probe.environment(), ANSWER)

    with ThreadPoolExecutor() as pool:
        clusters, secrets = pool.map(ask, (["config", "get-clusters"], ["-q", "secret", "ls"]))
    if REFUSED in [answer.returncode for answer in (clusters, secrets) if answer]:
        yield Finding("problem", f"platform: refuses the login; `{name} logout` and `{name} login`")
    elif not clusters or clusters.returncode:
        yield Finding("unknown", f"{unknown}: {probe.reason(clusters)}")
    else:
        yield Finding("ok", "platform: logged in")
        yield _check_secret(name, secrets, _default(root, "token_secret_name"))
        yield _check_preset(clusters.stdout, _default(root, "preset"))


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


def _check_preset(clusters: str, wanted: str) -> Finding:
    presets = list(_presets(clusters))
    if not presets:
        return Finding("unknown", "preset: the client names none")
    if not wanted:
        return Finding("ok", f"preset: none is asked for, so {presets[0]}, the cluster's first one")
    if wanted in presets:
        return Finding("ok", f"preset {wanted}: is there")
    known = ", ".join(presets)
    return Finding("problem", f"preset {wanted}: is unknown; in {FLOW}, use one of {known}")


def _presets(clusters: str) -> Iterator[str]:
    """The first column of the current cluster's table; a row may have several lines."""
    column = None
    for line in clusters.partition("* Name:")[2].splitlines():
        if re.match(r"\s*Name:", line):
            return
        if column is not None and line[column : column + 1].isalnum():
            yield line[column:].split()[0]
        elif "#CPU" in line:
            column = line.index("Name")


def _default(root: Path, parameter: str) -> str:
    """What the flow says; empty if it says nothing."""
    try:
        found = yaml.safe_load((root / FLOW).read_text(encoding="utf-8"))["params"][parameter]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return ""
    return str((found.get("default") if isinstance(found, dict) else found) or "")


def check_key_file() -> Finding:
    """The file that the secret is made from."""
    path = Path.home() / os.environ.get("WANDB_SECRET_FILE", "wandb-token.txt")
    try:
        key = path.read_bytes()
    except OSError as error:
        return Finding("unknown", f"{path}: {error.strerror}; not needed once the secret is there")
    if key and key == key.strip():
        return Finding("ok", f"{path}: nothing around the key")
    what = "a line break or blank beside the key breaks wandb" if key.strip() else "is empty"
    remedy = f"`printf %s YOUR_WANDB_KEY > {path}`, then add the secret anew"
    return Finding("problem", f"{path}: {what}; {remedy}")
