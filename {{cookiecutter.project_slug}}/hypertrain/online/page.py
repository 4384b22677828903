"""The page on W&B of a sweep that this machine searches: made once, joined by its trials, ended.

Agents elsewhere may take points of it too, from W&B's server. So a point of a grid is asked for
there before it is trained here, and announced: nothing is trained twice.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wandb

from hypertrain import inside_wandb
from hypertrain.online.served import address, create
from hypertrain.online.server import bounded, remedy
from hypertrain.sweepfile.sweep import Sweep

FILE = "wandb-sweep.json"
QUESTION = 3.0
"""Seconds for the server to say whether a point is free, before it is trained all the same."""
PAUSE = 60.0
"""Seconds in which a server that did not say so is not asked again."""
ANNOUNCE = """
mutation UpsertBucket(
    $name: String!, $project: String, $entity: String, $config: JSONString, $sweep: String,
    $state: String
) {
    upsertBucket(input: {
        name: $name, modelName: $project, entityName: $entity, config: $config, sweep: $sweep,
        state: $state
    }) {
        bucket { id name }
    }
}
"""
"""A run that is about to begin, as the server itself notes one that it hands to an agent."""


class Page:
    """The sweep entity/project/id on W&B."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.entity, self.project, self.id = path.split("/")
        self.url = address(path)
        self._api = wandb.Api()
        self._quiet_until = 0.0

    def claim(self, run: str, params: dict[str, Any]) -> bool:
        """Announce the run at these parameters; False when another agent has a run there."""
        if time.monotonic() < self._quiet_until:
            return True
        try:
            free = bounded(lambda: self._claim(run, params), QUESTION)
        except Exception:  # noqa: BLE001
            self._quiet_until = time.monotonic() + PAUSE
            return True
        return free

    def _claim(self, run: str, params: dict[str, Any]) -> bool:
        same = {"$and": [{"sweep": self.id}, *_conditions(params)]}
        found = self._api.runs(f"{self.entity}/{self.project}", filters=same, per_page=1)
        if any(other.id != run for other in found):
            return False
        config = {name: {"value": value} for name, value in params.items()}
        variables = {
            "name": run,
            "project": self.project,
            "entity": self.entity,
            "config": json.dumps(config),
            "sweep": self.id,
            "state": "pending",
        }
        inside_wandb.execute(self._api, ANNOUNCE, variables)
        return True

    def end(self, say: Callable[[str], None]) -> None:
        """Tell W&B that the sweep is over; its trials are there even if it does not hear of it."""
        try:
            self._ask("_set_sweep_state", state="FINISHED")
        except Exception as error:  # noqa: BLE001
            say(f"W&B still shows the sweep as running: {remedy(error)}")

    def go_on(self) -> None:
        """Open the sweep again, should an earlier session have ended it.

        Raises: what goes wrong on the way; the sweep may be gone.
        """
        if self._ask("_get_sweep_state") != "RUNNING":
            self._ask("_set_sweep_state", state="RUNNING")

    def _ask(self, function: str, **more: str) -> Any:
        scope = {"sweep": self.id, "entity": self.entity, "project": self.project}
        return bounded(lambda: inside_wandb.ask(function, self._api, **scope, **more))


def _conditions(params: dict[str, Any], above: str = "config.{}.value") -> list[dict[str, Any]]:
    """Filters of runs that have these parameters; nested ones lie within their value."""
    found: list[dict[str, Any]] = []
    for name, value in params.items():
        place = above.format(name) if "{}" in above else f"{above}.{name}"
        found += _conditions(value, place) if isinstance(value, dict) else [{place: value}]
    return found


def open_page(sweep: Sweep, folder: Path, say: Callable[[str], None]) -> Page | None:
    """The page of the sweep whose results are in `folder`; None, in one line, where W&B has none."""
    file, server = folder / FILE, wandb.setup().settings.base_url
    try:
        if missing := inside_wandb.missing_part(wandb.Api()):
            say(f"wandb {wandb.__version__} lacks {missing}: the runs are a group on W&B, no sweep")
            return None
        known = json.loads(file.read_bytes())
        if known["server"] == server:
            page = Page(known["sweep"])
            page.go_on()
            return page
    except Exception as error:  # noqa: BLE001
        if file.exists():
            say(f"{file}: the sweep is not on W&B any more ({remedy(error)}); it is started anew")
    try:
        path = bounded(lambda: create(sweep))
    except Exception as error:  # noqa: BLE001
        say(f"W&B has no page for this sweep, its runs are a group instead: {remedy(error)}")
        return None
    file.write_text(json.dumps({"sweep": path, "server": server}))
    return Page(path)
