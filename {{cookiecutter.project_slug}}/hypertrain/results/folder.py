"""The results folders: what each says of itself, and which one is meant.

results/sweep-ID/about.json     what this module writes: file, program, host, sources by code
                 sweep.yaml     the sweep file as it was when the latest session began
                 journal.jsonl  see `journal.py`
"""

import json
import os
import platform
import time
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hypertrain import UserError
from hypertrain.results.journal import HOST, JOURNAL
from hypertrain.results.sources import fingerprint, of_choices, sources, words_of
from hypertrain.sweepfile.sweep import Sweep, load

ABOUT, SWEEP_FILE = "about.json", "sweep.yaml"


@dataclass(frozen=True)
class About:
    """What a results folder says of its sweep.

    file: the sweep file's path in the project. code: fingerprint of the sources today; `sources`
    holds the files and hashes of each code that trials ran with; `choices` those of today that a
    trial has besides, by the word that tells it of them. begun: Unix time.
    """

    file: str
    name: str
    program: str
    method: str
    metric: str | None
    goal: str | None
    command: list[Any] | None
    early_terminate: Any
    code: str
    begun: float
    host: str = HOST
    python: str = field(default_factory=platform.python_version)
    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    choices: dict[str, dict[str, str]] = field(default_factory=dict)

    def files(self, params: Mapping[str, Any]) -> dict[str, str]:
        """The sources, today, of a trial with these parameters."""
        own = (self.choices.get(word, {}) for word in words_of(params))
        return dict(ChainMap(self.sources.get(self.code, {}), *own))

    def code_of(self, params: Mapping[str, Any]) -> str:
        """Their fingerprint."""
        return fingerprint(self.files(params)) if self.choices else self.code

    @property
    def all_files(self) -> dict[str, str]:
        """The sources, today, of all trials."""
        return dict(ChainMap(self.sources.get(self.code, {}), *self.choices.values()))

    def changed_since(self, then: Mapping[str, str]) -> list[str]:
        """Files that are not what they were when `all_files` were these, or that only one has."""
        now = self.all_files
        return sorted(file for file in {*then, *now} if then.get(file) != now.get(file))


def today(folder: Path, sweep: Sweep, root: Path) -> About:
    """What the folder would say of itself if a session began now."""
    files = sources(root, sweep.program, sweep.command or ())
    code = fingerprint(files)
    before = about(folder)
    return About(
        file=os.path.relpath(sweep.path, root) if sweep.path.is_absolute() else str(sweep.path),
        name=sweep.name,
        program=sweep.program.as_posix(),
        method=sweep.method,
        metric=sweep.metric.name if sweep.metric else None,
        goal=sweep.metric.goal if sweep.metric else None,
        command=list(sweep.command) if sweep.command else None,
        early_terminate=sweep.raw.get("early_terminate"),
        code=code,
        begun=before.begun if before else time.time(),
        sources={**(before.sources if before else {}), code: files},
        choices=of_choices(root, sweep.space),
    )


def describe(folder: Path, sweep: Sweep, root: Path) -> About:
    """Write what the folder says of itself, as a session begins.

    Raises: OSError.
    """
    now = today(folder, sweep, root)
    note(folder, now)
    _replace(folder / SWEEP_FILE, sweep.path.read_bytes())
    return now


def code_for(folder: Path, told: About, params: Mapping[str, Any]) -> str:
    """Fingerprint of the code that a trial begins with; its files are noted in the folder.

    Raises: OSError.
    """
    code = told.code_of(params)
    if code not in told.sources:
        told.sources[code] = told.files(params)
        note(folder, told)
    return code


def note(folder: Path, told: About) -> None:
    """Write it into the folder.

    Raises: OSError.
    """
    _replace(folder / ABOUT, json.dumps(asdict(told), indent=1).encode())


def about(folder: Path) -> About | None:
    """What the folder says of itself; None when it says nothing that can be read."""
    try:
        return About(**json.loads((folder / ABOUT).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def folders(root: Path) -> list[Path]:
    """The project's results folders, the one written to last comes first."""
    found = [journal.parent for journal in (root / "results").glob(f"*/{JOURNAL}")]
    return sorted(found, key=lambda folder: (folder / JOURNAL).stat().st_mtime, reverse=True)


def find(root: Path, named: str | None, sweep_file: Path | None) -> Path:
    """The results folder that is meant: by its path, by its sweep file, else the newest.

    Raises: UserError.
    """
    if named is not None:
        path = Path(named)
        for folder in (path, path.parent, root / "results" / named):
            if (folder / JOURNAL).is_file():
                return folder
        what = "is no results folder: it holds no journal.jsonl"
        raise UserError(f"{named}: {what if path.exists() else 'does not exist'}{_known(root)}")
    if sweep_file is not None:
        folder = root / "results" / f"sweep-{load(sweep_file, root).id}"
        if (folder / JOURNAL).is_file():
            return folder
        raise UserError(f"{sweep_file}: has not been run yet{_known(root)}")
    found = folders(root)
    if not found:
        raise UserError("results: holds no sweep yet; `python -m hypertrain` runs one")
    return found[0]


def sweep_of(folder: Path, root: Path) -> Sweep | None:
    """The sweep of a results folder, as its file was; of an old folder, as the file is today."""
    own = folder / SWEEP_FILE
    for path in [own] if own.is_file() else _sweep_files(root):
        try:
            sweep = load(path, root)
        except UserError:
            continue
        if path == own or folder.name == f"sweep-{sweep.id}":
            return sweep
    return None


def _known(root: Path) -> str:
    names = [str(folder.relative_to(root)) for folder in folders(root)[:3]]
    return f"; there are {', '.join(names)}" if names else "; there is none in results/ yet"


def _sweep_files(root: Path) -> Iterator[Path]:
    for pattern in ("config/*.y*ml", "*.y*ml"):
        yield from sorted(root.glob(pattern))


def _replace(path: Path, content: bytes) -> None:
    """All of the new content or still the old."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
