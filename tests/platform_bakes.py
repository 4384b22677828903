"""Bakes, attempts, tasks and whatever else neuro-flow keeps on the platform: tables of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from aiohttp import web
from platform_state import USER, Platform, error, listing, now

TABLES = (
    *("projects", "bakes", "attempts", "config_files", "bake_images"),
    *("tasks", "live_jobs", "cache_entries"),
)
PREFIX = {"bakes": "bake-", "live_jobs": "live-job-", "config_files": "config-file-"}
UNIQUE = {
    "projects": ("name", "cluster", "org_name", "project_name"),
    "tasks": ("attempt_id", "yaml_id"),
    "attempts": ("bake_id", "number"),
    "bake_images": ("bake_id", "ref"),
    "live_jobs": ("project_id", "yaml_id"),
}


def _table(platform: Platform, request: web.Request) -> dict[str, dict[str, Any]]:
    return platform.tables.setdefault(request.match_info["table"], {})


def _find(table: Mapping[str, dict[str, Any]], keys: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for row in table.values():
        if all(str(row.get(key)) == str(value) for key, value in keys.items()):
            yield row


def _bake_row(platform: Platform, row: Mapping[str, Any]) -> dict[str, Any]:
    attempts = _find(platform.tables.get("attempts", {}), {"bake_id": row["id"]})
    return {**row, "last_attempt": max(attempts, key=lambda it: it["number"], default=None)}


def _shown(platform: Platform, table: str, row: dict[str, Any]) -> dict[str, Any]:
    return _bake_row(platform, row) if table == "bakes" else row


async def create(platform: Platform, request: web.Request) -> web.Response:
    name, payload = request.match_info["table"], await request.json()
    table = _table(platform, request)
    unique = {key: payload[key] for key in UNIQUE.get(name, ())}
    if unique and any(_find(table, unique)):
        return error(409, f"already exists: {unique}")
    row = {**payload, "id": f"{PREFIX.get(name, '')}{uuid4()}", "created_at": now()}
    row.setdefault("owner", USER)
    table[row["id"]] = row
    return web.json_response(_shown(platform, name, row), status=201)


async def rows(platform: Platform, request: web.Request) -> web.Response:
    keys = {key: value for key, value in request.query.items() if key.endswith(("_id", "name"))}
    name, table = request.match_info["table"], _table(platform, request)
    return listing([_shown(platform, name, row) for row in _find(table, keys)])


async def one(platform: Platform, request: web.Request) -> web.Response:
    name, key = request.match_info["table"], request.match_info["key"]
    table = _table(platform, request)
    if key.startswith("by_"):
        keys = {key: value for key, value in request.query.items() if key != "fetch_last_attempt"}
        if keys.get("number") == "-1":
            keys.pop("number")
            found = sorted(_find(table, keys), key=lambda row: -row["number"])
        else:
            found = list(_find(table, keys))
        row = found[0] if found else None
    else:
        row = table.get(key)
    return web.json_response(_shown(platform, name, row)) if row else error(404, "not found")


async def replace(platform: Platform, request: web.Request) -> web.Response:
    name, payload = request.match_info["table"], await request.json()
    found = list(_find(_table(platform, request), {key: payload[key] for key in UNIQUE[name]}))
    if not found:
        return await create(platform, request)
    row = found[0]
    row |= payload
    return web.json_response(row)


async def patch(platform: Platform, request: web.Request) -> web.Response:
    row = _table(platform, request).get(request.match_info["key"])
    if row is None:
        return error(404, "not found")
    row |= await request.json()
    return web.json_response(row)
