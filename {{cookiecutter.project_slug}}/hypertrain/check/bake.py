"""The part of `neuro-flow bake hypertrain` that runs on this machine, before anything is made.

It refuses params that cannot work, one line for each, and copies the project to the storage, into a
folder of its own: a sweep runs the code that it was started with, whatever is baked later. Called
by `.neuro/upload.yml` with whichever Python is on PATH: the standard library only, and Python 3.8.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import which
from typing import NamedTuple
from urllib.parse import unquote

PARAMS = {
    "workers",
    "trials_per_gpu",
    "gpus_per_trial",
    "life_span",
    "schedule_timeout",
    "sweep",
    "sweep_file",
}
"""Params of the flow that the project alone can tell right from wrong."""
ANSWER = 30.0
"""Seconds for the platform to name its presets and secrets; without an answer the bake goes on."""
SPAN = re.compile(r"(?=\d)(\d+d)?(\d+h)?(\d+m)?(\d+s)?")
SWEEP = re.compile(r"[^/\s]+/[^/\s]+/[^/\s]+")
SHARED = ("data", "results")
"""Folders of the storage that all sweeps have in common."""


class Preset(NamedTuple):
    """A kind of machine. gpus: in the client's words, empty if none; price: credits for an hour."""

    name: str
    gpus: str
    price: str
    preemptible: bool


def main() -> None:
    # One word that no shell can split; the params, one of its values, are JSON once more.
    task = json.loads(unquote(" ".join(sys.argv[1:])))
    params = json.loads(task["params"])
    client = which("neuro") or which("apolo")
    if client is None:
        sys.exit("there is neither neuro nor apolo on PATH: pip install apolo-all")
    wrong = list(problems(params, Path())) or list(unknown(params, client))
    if wrong:
        sys.exit("\n".join(wrong))
    code = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    upload(client, f"storage:{task['project']}", code, task["image"])
    print(f"::set-output name=code::{code}")


def problems(params: Mapping[str, str], root: Path) -> Iterator[str]:
    """What is wrong with the params of a bake, as far as the project in `root` tells."""
    if not re.fullmatch(r"[1-9]\d{0,2}", params["workers"]) or int(params["workers"]) > 256:
        yield _refused(params, "workers", "use a whole number from 1 to 256")
    for name, other in (("trials_per_gpu", "auto"), ("gpus_per_trial", "")):
        if params[name] not in ("", other) and not re.fullmatch(r"[1-9]\d{0,2}", params[name]):
            yield _refused(params, name, f"use a whole number{f' or {other}' if other else ''}")
    for name in ("life_span", "schedule_timeout"):
        if not SPAN.fullmatch(params[name]):
            yield _refused(params, name, "write a time such as 10d, 12h or 1d6h30m")
    if params["sweep"]:
        if not SWEEP.fullmatch(params["sweep"]):
            yield _refused(params, "sweep", "name it as ENTITY/PROJECT/SWEEP")
        return
    # The platform mounts the project at /project: such a path means the same file here.
    file = Path(re.sub("^/project/", "", params["sweep_file"]))
    if file.is_absolute() or ".." in file.parts or not (root / file).is_file():
        yield _refused(params, "sweep_file", "there is no such file in the project")


def unknown(params: Mapping[str, str], client: str) -> Iterator[str]:
    """What the platform does not have; nothing where it cannot be asked."""
    questions = (["config", "get-clusters"], ["-q", "secret", "ls"])
    with ThreadPoolExecutor() as pool:
        clusters, names = pool.map(lambda words: _ask(client, words), questions)
    known = [preset.name for preset in presets(clusters or "")]
    if params["preset"] and known and params["preset"] not in known:
        hint = f"the cluster has no such preset; use one of {', '.join(known)}"
        yield _refused(params, "preset", hint)
    secret = params["token_secret_name"]
    if names is not None and secret not in names.split():
        remedy = f"{Path(client).stem} secret add {secret or 'wandb-token'} @~/wandb-token.txt"
        yield _refused(params, "token_secret_name", f"there is no such secret; {remedy}")


def _refused(params: Mapping[str, str], name: str, why: str) -> str:
    return f"--param {name} {ascii(params[name])[:60]}: {why}"


def _ask(client: str, words: Sequence[str]) -> str | None:
    try:
        done = _run(client, words, ANSWER)
    except subprocess.TimeoutExpired:
        return None
    return None if done.returncode else done.stdout


def _run(
    client: str, words: Sequence[str], seconds: float | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [client, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        # Wide, so that the client cuts no name in a table.
        env={**os.environ, "COLUMNS": "400", "PYTHONIOENCODING": "utf-8"},
        timeout=seconds,
        check=False,
    )


def presets(clusters: str) -> Iterator[Preset]:
    """The current cluster's table in what `neuro config get-clusters` says.

    A row may have several lines; the columns read here are written below the start of their titles.
    """
    starts: dict[str, int] = {}
    rows: list[list[str]] = []
    for line in clusters.partition("* Name:")[2].splitlines():
        if re.match(r"\s*Name:", line):
            break
        if "#CPU" in line:
            titles = re.finditer(r"\S+( \S+)*", line)
            starts = {title[0]: title.start() for title in titles}
        elif starts and line[starts["Name"] : starts["Name"] + 1].isalnum():
            rows.append([line])
        elif rows and line.strip():
            rows[-1].append(line)

    def cell(row: Sequence[str], title: str) -> str:
        start = starts.get(title)
        if start is None:
            return ""
        end = min((other for other in starts.values() if other > start), default=None)
        return " ".join(line[start:end].strip() for line in row).strip()

    for row in rows:
        yield Preset(
            row[0][starts["Name"] :].split()[0],
            cell(row, "GPU"),
            cell(row, "Credits per hour"),
            "√" in cell(row, "Preemptible Node"),
        )


def upload(client: str, storage: str, code: str, image: str) -> None:
    """Copy the project to `storage`/sweeps/`code`, and what its image is built from to `image`."""
    left_out = list(uncopied(Path()))
    exclude = ["--exclude=/" + re.sub(r"([*?[])", r"[\1]", path) for path in left_out]
    shared = [f"{storage}/{name}" for name in ("sweeps", *SHARED)]
    target = f"{storage}/sweeps/{code}"
    _must(client, ["mkdir", "--parents", *shared, image])
    copies = (
        ["cp", "--recursive", "--no-target-directory", *exclude, ".", target],
        ["cp", *_image_files(Path()), "--target-directory", image],
    )
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda words: _must(client, words), copies))
    for path in left_out:
        print(f"not copied, it leads into itself or nowhere: {path!a}")
    print(f"copied to {target}")


def _must(client: str, words: Sequence[str]) -> None:
    done = _run(client, words)
    if done.returncode:
        # The last line alone: before it may stand a traceback, with whatever that shows.
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        reason = said[-1].strip() if said else f"exit status {done.returncode}"
        sys.exit(f"the upload has failed ({Path(client).stem} {words[0]}): {reason}")


def uncopied(root: Path) -> Iterator[str]:
    """What the client cannot copy: links into a folder around them, links to nothing, sockets."""
    ignored = (root / ".neuroignore").read_text(encoding="utf-8").split()
    skipped = {line.strip("/") for line in ignored if line.endswith("/")}

    def walk(folder: Path, above: tuple[Path, ...]) -> Iterator[str]:
        for entry in sorted(folder.iterdir()):
            name = entry.relative_to(root).as_posix()
            if entry.is_dir() and entry.name not in skipped:
                real = entry.resolve()
                if real in above:
                    yield name
                else:
                    yield from walk(entry, (*above, real))
            elif not entry.exists() or not (entry.is_dir() or entry.is_file()):
                yield name

    yield from walk(root, (root.resolve(), *root.resolve().parents))


def _image_files(root: Path) -> list[str]:
    """The Dockerfile and what .dockerignore lets in."""
    lines = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return ["Dockerfile", *(line[1:].strip() for line in lines if line.startswith("!"))]


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
