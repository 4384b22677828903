"""A loopback stand-in of the Neu.ro (Apolo) platform API, for the real command-line clients.

It knows what the installed clients tell of the service, and nothing else:
- login and clusters: `apolo_sdk/_server_cfg.py` (`get_server_config`), `_config_factory.py` (the
  passed config, which the service adds to the job that asks for it);
- jobs, logs, attach: `apolo_sdk/_jobs.py`, `apolo_cli/ael.py` (a finished job refuses attach);
- storage: `apolo_sdk/_storage.py`; secrets: `_secrets.py`; registry: `_images.py`;
- bakes: `apolo_flow/storage/api.py`; the executor's job: `apolo_flow/batch_runner.py`;
- image builds: `apolo_extras/image_builder.py` (a kaniko job; here its COPY sources are looked up,
  its ENV and WORKDIR kept, and nothing is installed).
Assumed, since no client source tells: a job whose secret or image is missing is accepted and fails
with a reason; a missing volume folder is created; an unknown preset is refused with 400.
An unknown route answers 501 and is kept in `unknown`, which the fixture turns into a failed test.
Jobs of the project's image run with the interpreter of the tests, the executor's with the client's.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import shutil
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import platform_bakes as bakes
from aiohttp import WSCloseCode, web
from platform_jobs import Job, kill, send
from platform_launch import launch
from platform_state import API, CLUSTER, ORG, PROJECT, TOKEN, USER, Platform, error, listing

# ---- login


def _config(platform: Platform, authorized: bool) -> dict[str, Any]:
    api = platform.url + API
    config: dict[str, Any] = {
        "auth_url": f"{api}/authorize",
        "token_url": f"{api}/token",
        "logout_url": f"{api}/logout",
        "headless_callback_url": f"{api}/code",
        "client_id": "client",
        "audience": "audience",
        "authorized": authorized,
    }
    if authorized:
        config["projects"] = [
            {"name": PROJECT, "cluster_name": CLUSTER, "org_name": ORG, "role": "owner"}
        ]
        config["clusters"] = [
            {
                "name": CLUSTER,
                "orgs": [ORG],
                "registry_url": platform.url,
                "storage_url": f"{api}/storage",
                "users_url": f"{api}/users",
                "monitoring_url": f"{api}/jobs",
                "secrets_url": f"{api}/secrets",
                "disks_url": f"{api}/disk",
                "buckets_url": f"{api}/buckets",
                "resource_pool_types": [],
                "resource_presets": [
                    {"name": name, "cpu": 4, "memory": 2**33, **more}
                    for name, more in platform.presets.items()
                ],
            }
        ]
    return config


# ---- jobs


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _describe(platform: Platform, job: Job) -> dict[str, Any]:
    request = job.request
    container = {
        key: request[key]
        for key in ("image", "command", "entrypoint", "env", "secret_env", "volumes", "working_dir")
        if key in request
    }
    row = {
        "id": job.id,
        "owner": USER,
        "cluster_name": CLUSTER,
        "org_name": ORG,
        "project_name": PROJECT,
        "uri": f"job://{CLUSTER}/{ORG}/{PROJECT}/{job.id}",
        "status": job.status,
        "history": {
            "status": job.status,
            "reason": job.reason,
            "description": "",
            "created_at": _iso(job.created),
            "started_at": _iso(job.started),
            "finished_at": _iso(job.finished),
            "exit_code": job.exit_code,
        },
        "container": {**container, "resources": {"cpu": 4, "memory": 2**33, "shm": True}},
        "scheduler_enabled": False,
        "pass_config": request.get("pass_config", False),
        "total_price_credits": "0",
        "price_credits_per_hour": "1",
        "http_url": f"{platform.url}/job/{job.id}",
    }
    keys = ("name", "tags", "preset_name", "max_run_time_minutes", "description", "restart_policy")
    return row | {key: request[key] for key in keys if key in request}


def _spawn(platform: Platform, work: Awaitable[None]) -> None:
    async def bounded() -> None:
        await work

    task = asyncio.get_running_loop().create_task(bounded())
    platform.tasks.add(task)
    task.add_done_callback(platform.tasks.discard)


async def _create_job(platform: Platform, request: web.Request) -> web.Response:
    payload = await request.json()
    if payload.get("preset_name") not in platform.presets:
        return error(400, f"Preset was not found: {payload.get('preset_name')!r}")
    job = Job(f"job-{uuid4()}", payload)
    platform.jobs[job.id] = job
    _spawn(platform, launch(platform, job))
    return web.json_response(_describe(platform, job), status=202)


async def _list_jobs(platform: Platform, request: web.Request) -> web.Response:
    tags, statuses = set(request.query.getall("tag", [])), request.query.getall("status", [])
    rows = [
        _describe(platform, job)
        for job in platform.jobs.values()
        if tags <= set(job.request.get("tags", [])) and (not statuses or job.status in statuses)
    ]
    return listing(rows)


async def _job(platform: Platform, request: web.Request) -> web.Response:
    job = platform.jobs.get(request.match_info["id"])
    return web.json_response(_describe(platform, job)) if job else error(404, "no such job")


async def _kill_job(platform: Platform, request: web.Request) -> web.Response:
    job = platform.jobs.get(request.match_info["id"])
    if job is None:
        return error(404, "no such job")
    if not job.done:
        _spawn(platform, kill(job))
    return web.Response(status=204)


async def _output(job: Job, start: int) -> AsyncIterator[bytes]:
    while True:
        changed = job.changed
        if len(job.log) > start:
            data = bytes(job.log[start:])
            start += len(data)
            yield data
        elif job.done:
            return
        else:
            await changed.wait()


async def _stream(platform: Platform, request: web.Request, *, attach: bool) -> web.StreamResponse:
    job = platform.jobs.get(request.match_info["id"])
    if job is None or (attach and job.done):
        return error(404, "no such running job")
    socket = web.WebSocketResponse(protocols=("v2.channels.neu.ro",))
    await socket.prepare(request)

    async def listen() -> None:  # the client's pings and its leaving
        async for _ in socket:
            pass

    listening = asyncio.create_task(listen())
    prefix = b"\x01" if attach else b""
    try:
        async for data in _output(job, len(job.log) if attach else 0):
            await socket.send_bytes(prefix + data)
        await socket.close(code=WSCloseCode.OK)
    except ConnectionError:
        pass  # it left
    finally:
        listening.cancel()
    return socket


# ---- storage


def _status(path: Path, name: str) -> dict[str, Any]:
    info = path.stat()
    return {
        "FileStatus": {
            "path": name,
            "type": "DIRECTORY" if path.is_dir() else "FILE",
            "length": 0 if path.is_dir() else info.st_size,
            "modificationTime": int(info.st_mtime),
            "permission": "write",
        }
    }


async def _storage(platform: Platform, request: web.Request) -> web.StreamResponse:
    path = (platform.storage / request.match_info["path"]).resolve()
    if not path.is_relative_to(platform.storage.resolve()):
        return error(400, "outside of the storage")
    action = f"{request.method} {request.query.get('op')}"
    if action == "PUT MKDIRS":
        path.mkdir(parents=True, exist_ok=True)
        return web.Response(status=201)
    if action == "PUT CREATE":
        if not path.parent.is_dir():
            return error(404, "no such folder")
        path.write_bytes(await request.read())
        return web.Response(status=201)
    if not path.exists():
        return error(404, f"{path.name}: no such file or folder")
    if action == "PATCH WRITE":
        found = re.match(r"bytes (\d+)-", request.headers["Content-Range"])
        with path.open("r+b") as file:
            file.seek(int(found[1]) if found else 0)
            file.write(await request.read())
        return web.Response(status=200)
    if action == "GET GETFILESTATUS":
        return web.json_response(_status(path, "/" + request.match_info["path"]))
    if action == "GET LISTSTATUS":
        return listing([_status(child, child.name) for child in sorted(path.iterdir())])
    if action == "GET OPEN":
        return web.FileResponse(path)
    if action == "DELETE DELETE":
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return web.Response(status=204)
    return _unknown(platform, request)


# ---- secrets and registry


async def _secrets(platform: Platform, request: web.Request) -> web.Response:
    if request.method == "GET":
        return web.json_response(
            [
                {"key": key, "owner": USER, "org_name": ORG, "project_name": PROJECT}
                for key in sorted(platform.secrets)
            ]
        )
    payload = await request.json()
    if not re.fullmatch(r"[a-zA-Z0-9._-]+", payload["key"]):
        return error(400, "invalid secret name")
    try:
        platform.secrets[payload["key"]] = base64.b64decode(payload["value"], validate=True)
    except binascii.Error:
        return error(400, "the value is not base64")
    return web.Response(status=201)


async def _tags(platform: Platform, request: web.Request) -> web.Response:
    name = request.match_info["name"]
    tags = [image.split(":")[1] for image in platform.images if image.split(":")[0] == name]
    return web.json_response({"tags": tags}) if tags else error(404, "no such image")


async def _manifest(platform: Platform, request: web.Request) -> web.Response:
    known = f"{request.match_info['name']}:{request.match_info['tag']}" in platform.images
    return web.json_response({"layers": [{"size": 1}]}) if known else error(404, "no such tag")


# ---- the server


def _unknown(platform: Platform, request: web.Request) -> web.Response:
    platform.unknown.append(f"{request.method} {request.path_qs}")
    return error(501, f"the stand-in does not know {request.method} {request.path_qs}")


def _application(platform: Platform) -> web.Application:
    def bound(
        handler: Callable[..., Awaitable[web.StreamResponse]], **options: bool
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def call(request: web.Request) -> web.StreamResponse:
            return await handler(platform, request, **options)

        return call

    @web.middleware
    async def gate(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        line = f"{request.method} {request.path}"
        platform.requests.append(line)
        for fault in platform.faults:
            if fault.times > 0 and re.search(fault.match, line):
                fault.times -= 1
                if fault.action == "silent":
                    await asyncio.sleep(3600)
                if isinstance(fault.action, int):
                    return error(fault.action, "injected fault")
                assert request.transport is not None
                request.transport.close()
                return web.Response()
        given = request.headers.get("Authorization", "")
        basic = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        authorized = given in (f"Bearer {TOKEN}", f"Basic {basic}")
        if request.path == f"{API}/config":
            return web.json_response(_config(platform, authorized))
        if not authorized:
            return error(401, "Unauthorized")
        if request.match_info.http_exception is not None:
            return _unknown(platform, request)
        return await handler(request)

    application = web.Application(middlewares=[gate], client_max_size=2**28)
    table = f"{API}/flow/{{table:{'|'.join(bakes.TABLES)}}}"
    repository = f"/v2/{ORG}/{PROJECT}/{{name}}"
    application.add_routes(
        [
            web.get(f"{API}/config", bound(_job)),
            web.post(f"{API}/jobs", bound(_create_job)),
            web.get(f"{API}/jobs", bound(_list_jobs)),
            web.get(f"{API}/jobs/{{id}}", bound(_job)),
            web.delete(f"{API}/jobs/{{id}}", bound(_kill_job)),
            web.get(f"{API}/jobs/{{id}}/log_ws", bound(_stream, attach=False)),
            web.get(f"{API}/jobs/{{id}}/attach", bound(_stream, attach=True)),
            web.route("*", f"{API}/storage/{{path:.+}}", bound(_storage)),
            web.get(f"{API}/secrets", bound(_secrets)),
            web.post(f"{API}/secrets", bound(_secrets)),
            web.get(f"{repository}/tags/list", bound(_tags)),
            web.get(f"{repository}/manifests/{{tag}}", bound(_manifest)),
            web.post(table, bound(bakes.create)),
            web.get(table, bound(bakes.rows)),
            web.put(f"{table}/replace", bound(bakes.replace)),
            web.get(f"{table}/{{key}}", bound(bakes.one)),
            web.patch(f"{table}/{{key}}", bound(bakes.patch)),
        ]
    )
    return application


@contextmanager
def serve(platform: Platform) -> Iterator[Platform]:
    """Answer on a free loopback port until the block ends; then no job is left running."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        runner = web.AppRunner(_application(platform), access_log=None, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        platform.url = f"http://{host}:{port}"
        ready.set()
        await stop.wait()
        for job in platform.jobs.values():
            send(job, signal.SIGKILL)
        for task in platform.tasks:
            task.cancel()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(10), "the stand-in did not start"
    try:
        yield platform
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(15)
        assert not thread.is_alive(), "the stand-in did not stop"
