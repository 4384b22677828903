"""The real command-line clients against the stand-in platform, as a user has them.

Each client version lives in an environment of its own: neuro-flow and apolo-flow install the same
package.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from environments import environment
from platform_api import serve
from platform_jobs import sandbox
from platform_launch import read_dockerfile
from platform_state import API, TOKEN, Image, Platform

CLIENTS = {
    "neuro-flow": ("neuro-flow==24.12.1", "apolo-cli==26.9.0", "apolo-extras==26.8.0"),
    "apolo-flow": ("apolo-flow==26.7.2", "apolo-cli==26.9.0", "apolo-extras==26.8.0"),
}
# What was current when the executor's images of both versions were made; the newer one does not
# print the line that the executor waits for when it builds an image.
EXECUTOR = "apolo-extras==25.9.0"
KEY = "cf23df2207d99a74fbe169e3eba035e633b65d94"  # the guide's example


def client_environment(client: str) -> Path:
    return environment(client, *CLIENTS[client])


def executor_packages() -> Path:
    home = environment("executor", "--no-deps", EXECUTOR)
    (packages,) = home.glob("lib/python*/site-packages")
    return packages


@dataclass(frozen=True)
class User:
    """Someone at a terminal in the project's folder."""

    platform: Platform
    home: Path
    project: Path
    bin: Path

    def environ(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "COLUMNS": "200",
            "NEURO_CLI_DISABLE_PYPI_VERSION_CHECK": "1",
        }

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.project,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def finish(
        self, process: subprocess.Popen[str], rc: int | None = 0, timeout: float = 300
    ) -> str:
        """What the terminal shows; `rc` None accepts any exit status but 0."""
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = f"{process.communicate()[0]}\nstopped after {timeout} s"
        wrong = process.returncode == 0 if rc is None else process.returncode != rc
        assert not wrong, f"{process.args!r}: {process.returncode}\n{output}\n{self.logs()}"
        return output

    def run(self, *command: str, rc: int | None = 0) -> str:
        return self.finish(self.start(*command), rc)

    def logs(self) -> str:
        jobs = self.platform.jobs.values()
        return "\n".join(f"{job.request.get('command')}: {job.status}\n{job.text}" for job in jobs)

    def login(self) -> None:
        self.run("neuro", "config", "login-with-token", TOKEN, self.platform.url + API)

    def add_secret(self, name: str = "wandb-token", value: str = KEY) -> None:
        file = self.home / "wandb-token.txt"
        file.touch(0o600)
        file.write_text(value)
        self.run("neuro", "secret", "add", name, "@~/wandb-token.txt")

    def bake(self, *arguments: str, rc: int | None = 0) -> str:
        return self.run("neuro-flow", "bake", "hypertrain", *arguments, rc=rc)

    def image(self) -> str:
        """Put the project's image into the registry, as an earlier build has; its name:tag."""
        digest = hashlib.sha256()
        for file in ("Dockerfile", "requirements.txt", "constraints.txt"):
            digest.update(file.encode() + (self.project / file).read_bytes())
        name = f"{self.project.name.replace('-', '_')}:{digest.hexdigest()}"
        environ, _ = read_dockerfile((self.project / "Dockerfile").read_text())
        self.platform.images[name] = Image(environ)
        return name


@contextmanager
def platform_user(client: str, project: Path, folder: Path) -> Iterator[User]:
    """A platform of its own and a user who is logged in to it."""
    if sandbox() is None:
        pytest.skip("no private mounts here: neither bubblewrap nor unshare may make them")
    for name in ("home", "storage"):
        (folder / name).mkdir()
    venv = client_environment(client)
    platform = Platform(folder / "storage", venv, executor_packages())
    with serve(platform):
        user = User(platform, folder / "home", project, venv / "bin")
        user.login()
        yield user
    assert not platform.unknown, "the client asked for what the stand-in does not know"
