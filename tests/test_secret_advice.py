"""After a bake: each state of the W&B key, its advice, and that looking changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, Bake, hook, tree

post_gen = hook("post_gen_project")

KEY = "0123456789abcdef" * 2 + "01234567"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyIn0.c2lnbmF0dXJl"
NETRC = f"machine api.wandb.example\n  login user\n  password {KEY}\n"
Prepare = Callable[[Path], None]


def write(name: str, text: str, mode: int = 0o600) -> Prepare:
    def prepare(home: Path) -> None:
        file = home / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, newline="")
        file.chmod(mode)

    return prepare


def nothing(home: Path) -> None:
    pass


def folder(home: Path) -> None:
    (home / "wandb-token.txt").mkdir()


def unreadable(home: Path) -> None:
    file = home / "wandb-token.txt"
    if os.name == "posix" and os.geteuid() == 0:  # root may read everything, but not a loop
        file.symlink_to(file)
    else:
        write(file.name, KEY, mode=0o000)(home)


def token(text: str, mode: int = 0o600) -> Prepare:
    return write("wandb-token.txt", text, mode)


# What is in the home, what in the environment, and the state that it makes.
KEY_STATES: list[tuple[Prepare, dict[str, str], str]] = [
    (nothing, {}, "missing"),
    (folder, {}, "folder"),
    (unreadable, {}, "unreadable"),
    (token(""), {}, "empty"),
    (token(" \n"), {}, "empty"),
    (token("YOUR_WANDB_KEY"), {}, "misshapen"),
    (token(f"{KEY}\n{KEY}"), {}, "misshapen"),
    (token(f"{KEY}\n"), {}, "ready"),
    (token(f" {KEY}\r\n"), {}, "ready"),
    (token(f"{KEY}\n", 0o644), {}, "open"),
    (token(KEY, 0o640), {}, "open"),
    (token(KEY), {}, "ready"),
    (token(KEY), {"WANDB_API_KEY": KEY}, "ready"),
    (nothing, {"WANDB_API_KEY": KEY}, "environment"),
    (nothing, {"WANDB_API_KEY": "short"}, "missing"),
    (write(".netrc", NETRC), {}, "netrc"),
    (write("_netrc", NETRC), {}, "netrc"),
    (write(".netrc", NETRC), {"WANDB_BASE_URL": "https://api.wandb.example/"}, "netrc"),
    (write(".netrc", NETRC), {"WANDB_BASE_URL": "https://wandb.other.example"}, "missing"),
    (write(".netrc", NETRC.replace("wandb", "git")), {}, "missing"),
    (write(".netrc", NETRC.replace(KEY, "short")), {}, "missing"),
    (write(".netrc", "machine machine machine"), {}, "missing"),
    (write(".netrc", f'machine "$(id).wandb" login user password {KEY}\n'), {}, "missing"),
    (write("my key", KEY), {"WANDB_SECRET_FILE": "my key"}, "ready"),
    (token(KEY), {"WANDB_SECRET_FILE": "my key"}, "missing"),
]

CLI_STATES: list[tuple[list[str], list[str], dict[str, str], str, bool]] = [
    ([], [], {}, "", False),
    (["neuro"], [], {}, "neuro", False),
    (["apolo"], [], {}, "apolo", False),
    (["neuro", "apolo"], [".apolo/db"], {}, "neuro", True),
    (["apolo"], [".neuro/db"], {}, "apolo", True),
    (["apolo"], ["elsewhere/db"], {"APOLO_CONFIG": "elsewhere"}, "apolo", True),
    (["neuro"], ["elsewhere/db"], {"NEUROMATION_CONFIG": "elsewhere"}, "neuro", True),
    (["neuro"], ["elsewhere/log"], {"NEUROMATION_CONFIG": "elsewhere"}, "neuro", False),
]

ACCEPTED_KEYS = [KEY, "A" * 86, "_" * 40, f"local-{KEY}", f"-{KEY}", f"local-{KEY[:20]}-{KEY}", JWT]
REFUSED_KEYS = [
    "",
    KEY[:39],
    f"local-{KEY[:39]}",
    f"{KEY[:39]}-x",
    f"{KEY}!",
    "a.b",
    f"{KEY} {KEY}",
]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    folder = tmp_path / "commands"
    folder.mkdir()
    return folder


def command(folder: Path, name: str) -> None:
    """A CLI that tells on whoever calls it."""
    file = folder / name
    file.write_text(f"#!/bin/sh\ntouch {folder}/called\n")
    file.chmod(0o755)


@pytest.mark.parametrize("key", ACCEPTED_KEYS)
def test_key_that_wandb_accepts(key: str) -> None:
    assert post_gen.KEY.fullmatch(key)


@pytest.mark.parametrize("key", REFUSED_KEYS)
def test_key_that_wandb_refuses(key: str) -> None:
    assert not post_gen.KEY.fullmatch(key)


@pytest.mark.parametrize(("prepare", "environ", "expected"), KEY_STATES)
def test_state_of_the_key(
    prepare: Prepare, environ: dict[str, str], expected: str, home: Path
) -> None:
    prepare(home)
    assert post_gen.secret_state(str(home), environ).key == expected


@pytest.mark.parametrize(("names", "files", "environ", "cli", "logged_in"), CLI_STATES)
def test_state_of_the_cli(
    names: list[str],
    files: list[str],
    environ: dict[str, str],
    cli: str,
    logged_in: bool,
    home: Path,
    commands: Path,
) -> None:
    for name in names:
        command(commands, name)
    for file in files:
        write(file, "not to be opened")(home)
    places = {name: str(home / place) for name, place in environ.items()}
    state = post_gen.secret_state(str(home), {"PATH": str(commands), **places})
    assert (state.cli, state.logged_in) == (cli, logged_in)


def advice(state: str, powershell: bool = False, **more: object) -> list[str]:
    found = {"cli": "neuro", "logged_in": True, "file": "~/wandb-token.txt", "netrc": ""}
    lines: list[str] = post_gen.advice(
        post_gen.State(**{**found, "key": state, **more}), "my-net", powershell
    )
    return lines


@pytest.mark.parametrize("powershell", [False, True])
@pytest.mark.parametrize("state", post_gen.KEY_STATES)
def test_advice_is_short_and_begins_with_what_works_at_once(state: str, powershell: bool) -> None:
    for cli, logged_in in (("", False), ("neuro", False), ("apolo", True)):
        lines = advice(state, powershell, cli=cli, logged_in=logged_in)
        assert len(lines) <= 8
        assert all(line.isascii() and line.isprintable() for line in lines)
        assert lines[1] == "    cd my-net"
        assert lines[2].endswith("python -m hypertrain")
        flow = "apolo-flow" if cli == "apolo" else "neuro-flow"
        assert lines[-1] == f"    {flow} bake hypertrain --param token_secret_name wandb-token"
        assert lines[-2] == f'    {cli or "neuro"} secret add wandb-token "@~/wandb-token.txt"'
        assert any(f"{cli or 'neuro'} login" in line for line in lines) is not logged_in
        assert any("pip install apolo-all" in line for line in lines) is (cli == "")
        assert ("&&" in "".join(lines)) is not powershell


def test_each_state_has_words_of_its_own() -> None:
    assert len({advice(state)[3] for state in post_gen.KEY_STATES}) == len(post_gen.KEY_STATES)


def test_powershell_has_its_own_variables() -> None:
    lines = advice("environment", powershell=True, file='"$HOME/$WANDB_SECRET_FILE"')
    assert '    Set-Content -NoNewline "$HOME/$env:WANDB_SECRET_FILE" $env:WANDB_API_KEY' in lines
    assert '    neuro secret add wandb-token "@$HOME/$env:WANDB_SECRET_FILE"' in lines


@pytest.mark.skipif(os.name == "nt", reason="commands for sh")
@pytest.mark.parametrize("secret_file", ["", "my key", "/absolute"])
@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize(
    ("prepare", "environ", "state"),
    [
        row
        for row in KEY_STATES
        if row[2] not in ("ready", "unreadable") and "WANDB_SECRET_FILE" not in row[1]
    ],
)
def test_the_command_that_is_advised_makes_the_key_ready(
    prepare: Prepare,
    environ: dict[str, str],
    state: str,
    shell: str,
    secret_file: str,
    home: Path,
) -> None:
    prepare(home)
    here = {"HOME": str(home), "PATH": os.environ["PATH"], **environ}
    if secret_file:
        name = str(home / "elsewhere") if secret_file == "/absolute" else secret_file
        here["WANDB_SECRET_FILE"] = name
        if os.path.lexists(home / "wandb-token.txt"):
            (home / "wandb-token.txt").rename(home / name)
    found = post_gen.secret_state(str(home), here)
    assert found.key == state

    line = post_gen.advice(found, "my-net", False)[-3].replace("YOUR_WANDB_KEY", KEY)
    assert ("(umask 077; printf" in line) == (state != "open"), "nobody can read it, at any time"
    subprocess.run([shell, "-c", line], env=here, check=True, timeout=30)
    assert post_gen.secret_state(str(home), here).key == "ready"


def bake_command(template: Path, output: Path) -> list[str]:
    """cookiecutter's own records stay out of the home that is watched."""
    config = output / "config.yaml"
    config.write_text(f"replay_dir: {output}\ncookiecutters_dir: {output}\n")
    options = ["--no-input", "--config-file", str(config), "--output-dir", str(output)]
    return [sys.executable, "-m", "cookiecutter", *options, str(template)]


def look_of(folder: Path) -> dict[str, tuple[int, int, int]]:
    looks = {path: path.lstat() for path in folder.rglob("*")}
    return {
        str(path): (look.st_mode, look.st_size, look.st_mtime_ns) for path, look in looks.items()
    }


@pytest.mark.parametrize(
    ("prepare", "environ", "state"),
    {row[2]: row for row in KEY_STATES}.values(),
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_bake_gives_the_advice_and_only_looks(
    prepare: Prepare,
    environ: dict[str, str],
    state: str,
    template: Path,
    bake: Bake,
    tmp_path: Path,
    home: Path,
    commands: Path,
) -> None:
    prepare(home)
    command(commands, "neuro")
    before = look_of(home)
    env = {"HOME": str(home), "USERPROFILE": str(home), "PATH": str(commands), **environ}
    result = subprocess.run(
        bake_command(template, tmp_path),
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = post_gen.secret_state(str(home), env)
    assert found.key == state
    assert result.stdout == ""
    assert result.stderr.splitlines() == post_gen.advice(found, "neuro-project", False)
    assert KEY not in result.stderr
    assert tree(tmp_path / "neuro-project") == tree(bake())
    assert look_of(home) == before
    assert not (commands / "called").exists()


@pytest.mark.skipif(os.name == "nt", reason="redirections of sh")
@pytest.mark.parametrize("redirection", ["<&- >&- 2>&-", "2>&-", ">/dev/full 2>/dev/full", "2>&1"])
def test_a_bake_succeeds_whatever_its_streams_are(
    redirection: str, template: Path, bake: Bake, tmp_path: Path, home: Path
) -> None:
    script = f'exec "$@" {redirection}'
    subprocess.run(
        ["sh", "-c", script, "sh", *bake_command(template, tmp_path)],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        timeout=60,
        check=True,
        capture_output=True,
    )
    assert tree(tmp_path / "neuro-project") == tree(bake())


WATCH = """
import runpy, sys
forbidden = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.remove",
    "os.rename", "os.mkdir", "os.chmod", "os.truncate", "shutil.", "urllib.",
)
def watch(event, arguments):
    path, mode = map(str, arguments[:2]) if event == "open" else ("", "")
    if event.startswith(forbidden) or set(mode) & set("wax+") or path.endswith("db"):
        print(event, arguments, flush=True)
sys.dont_write_bytecode = True
sys.addaudithook(watch)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_the_hook_neither_writes_nor_runs_nor_calls_anything(home: Path, commands: Path) -> None:
    token(KEY)(home)
    write(".netrc", NETRC)(home)
    write(".neuro/db", "the login of the CLI")(home)
    command(commands, "neuro")
    hook_file = ROOT / "hooks" / "post_gen_project.py"
    result = subprocess.run(
        [sys.executable, "-c", WATCH, str(hook_file)],
        cwd=home,
        env={"HOME": str(home), "PATH": str(commands)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert result.stdout == ""
    assert "looks right" in result.stderr


def test_the_hook_survives_a_reader_that_has_gone_and_a_folder_that_has_gone(home: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    script = (
        "import os, runpy, sys; os.rmdir(os.getcwd()); runpy.run_path(sys.argv[1], {}, '__main__')"
    )
    for stderr in (writer, None):
        gone = home / "gone"
        gone.mkdir()
        subprocess.run(
            [sys.executable, "-c", script, str(ROOT / "hooks" / "post_gen_project.py")],
            cwd=gone,
            stderr=stderr,
            timeout=60,
            check=True,
        )
    os.close(writer)
