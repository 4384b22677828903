"""What all parts of the stand-in platform share: its state and the form of its answers."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from platform_jobs import Job, send

CLUSTER, ORG, PROJECT, USER = "default", "team", "research", "user"
API = "/api/v1"


def _segment(value: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


TOKEN = f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment({'identity': USER})}.c2lnbmF0dXJl"


PRESETS: dict[str, dict[str, Any]] = {
    "cpu-small": {"credits_per_hour": "0.5"},
    "gpu-small": {
        "credits_per_hour": "2.5",
        "nvidia_gpu": {"count": 2, "model": "Tesla K80", "memory": 12 * 2**30},
        "preemptible_node": True,
        "resource_pool_names": ["pool-a", "pool-b"],
    },
    "gpu-slice": {
        "credits_per_hour": "1",
        "nvidia_migs": {"1g.5gb": {"count": 1, "model": "1g.5gb"}},
        "resource_pool_names": ["pool-a"],
    },
}


@dataclass
class Fault:
    """Answer `times` requests whose "METHOD /path" matches with a failure instead."""

    match: str
    action: int | str  # a status, "drop" (close the connection) or "silent" (never answer)
    times: int = 1


@dataclass
class Image:
    env: dict[str, str] = field(default_factory=dict)
    context: frozenset[str] = frozenset()  # the files the build could see


@dataclass
class Platform:
    """The state of the service; tests read and change it."""

    storage: Path  # holds ORG/PROJECT/...
    client: Path  # the virtual environment whose client runs in the executor's job
    executor_path: Path | None = None  # packages of the executor's image that differ from it
    presets: dict[str, dict[str, Any]] = field(default_factory=lambda: dict(PRESETS))
    url: str = ""
    jobs: dict[str, Job] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)  # "name:tag" in the project
    tables: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def registry(self) -> str:
        return f"{self.url.removeprefix('http://')}/{ORG}/{PROJECT}/"

    @property
    def files(self) -> Path:
        return self.storage / ORG / PROJECT

    def jobs_of(self, command: str) -> list[Job]:
        return [job for job in self.jobs.values() if command in job.request.get("command", "")]

    def crash(self, job: Job) -> None:
        """As if the job's machine were lost."""
        send(job, signal.SIGKILL)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)


def listing(rows: Iterable[Mapping[str, Any]]) -> web.Response:
    body = "".join(json.dumps(row) + "\n" for row in rows)
    return web.Response(text=body, content_type="application/x-ndjson")
