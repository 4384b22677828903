"""From a job's request to its process: the image's environment, secrets, volumes; image builds."""

from __future__ import annotations

import asyncio
import base64
import json
import shlex
import sys
from pathlib import Path

from platform_jobs import Job, Mount, execute
from platform_state import API, CLUSTER, ORG, PROJECT, TOKEN, Image, Platform


def _folder(platform: Platform, uri: str) -> Path:
    return platform.storage / uri.removeprefix(f"storage://{CLUSTER}/")


def _mounts(platform: Platform, job: Job) -> list[Mount]:
    mounts = []
    for volume in job.request.get("volumes", ()):
        folder = _folder(platform, volume["src_storage_uri"])
        if not folder.exists():
            folder.mkdir(parents=True)
        kind = "ro" if volume["read_only"] else "rw"
        mounts.append(Mount(kind, str(folder), volume["dst_path"]))
    return sorted(mounts, key=lambda mount: mount.target)


def _environment(platform: Platform, job: Job) -> dict[str, str]:
    """Raises KeyError with what is missing: an image or a secret."""
    reference = job.request["image"]
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    env = {"HOME": "/root", "LANG": "C.UTF-8", "NEURO_JOB_ID": job.id}
    if reference.startswith(platform.registry):
        image = platform.images.get(reference.removeprefix(platform.registry))
        if image is None:
            raise KeyError("ErrImagePull")
        env |= {"PATH": f"{sys.prefix}/bin:{system}"} | image.env
    elif reference.startswith("ghcr.io/neuro-inc/apolo-flow:"):
        env["PATH"] = f"{platform.client}/bin:{system}"
        if platform.executor_path:
            env["PYTHONPATH"] = str(platform.executor_path)
    else:
        raise KeyError("ErrImagePull")
    if job.request.get("pass_config"):
        config = {
            "token": TOKEN,
            "cluster": CLUSTER,
            "url": platform.url + API,
            "org_name": ORG,
            "project_name": PROJECT,
        }
        env["NEURO_PASSED_CONFIG"] = base64.b64encode(json.dumps(config).encode()).decode()
    env |= job.request.get("env", {})
    for name, uri in job.request.get("secret_env", {}).items():
        secret = uri.removeprefix(f"secret://{CLUSTER}/{ORG}/{PROJECT}/")
        if secret not in platform.secrets:
            raise KeyError(f"Missing secret {secret}")
        env[name] = platform.secrets[secret].decode()
    return env


def read_dockerfile(text: str) -> tuple[dict[str, str], list[str]]:
    """The environment a Dockerfile leaves behind and the files it copies in."""
    env: dict[str, str] = {}
    copied: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        word, *rest = shlex.split(line, comments=True) or [""]
        if word == "ENV":
            env |= dict(pair.split("=", 1) for pair in rest)
        elif word == "WORKDIR":
            env["WORKDIR"] = rest[0]
        elif word == "COPY":
            copied += rest[:-1]
    return env, copied


def _build(platform: Platform, job: Job) -> None:
    options = dict(
        word.removeprefix("--").split("=", 1)
        for word in shlex.split(job.request["command"])
        if "=" in word
    )
    context = next(
        Path(mount.source) for mount in _mounts(platform, job) if mount.target == options["context"]
    )
    dockerfile = context / Path(options["dockerfile"]).relative_to(options["context"])
    env, copied = read_dockerfile(dockerfile.read_text()) if dockerfile.exists() else ({}, ["?"])
    missing = [name for name in copied if not (context / name).exists()]
    if missing:
        job.write(f"error building image: no such file: {missing}\n".encode())
        job.finish(1)
        return
    seen = {str(file.relative_to(context)) for file in context.rglob("*") if file.is_file()}
    name = options["destination"].removeprefix(platform.registry)
    platform.images[name] = Image(env, frozenset(seen))
    job.write(b"Pushed image\n")
    job.finish(0)


async def launch(platform: Platform, job: Job) -> None:
    await asyncio.sleep(0.1)  # clients see a pending job first
    if job.cancelled:
        job.finish(0)
    elif job.request["image"].startswith("gcr.io/kaniko-project/executor:"):
        _build(platform, job)
    else:
        try:
            env = _environment(platform, job)
        except KeyError as missing:
            job.finish(1, str(missing.args[0]))
        else:
            mounts = _mounts(platform, job)
            extra = [platform.executor_path] if platform.executor_path else []
            pythons = [platform.client, *extra]
            await execute(job, env=env, volumes=mounts, pythons=pythons)
