"""Which program a trial runs: a script, a module, or a command; found as W&B's agent would find it.

The agent starts the command in the project's root, with this interpreter first on PATH.
"""

import difflib
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal

from hypertrain.sweepfile.command import DEFAULT
from hypertrain.sweepfile.hints import typed
from hypertrain.sweepfile.notes import Notes

PROGRAM = "${program}"
MODULE = ["${env}", "python", "-m", PROGRAM, "${args}"]
"""The command that runs a module."""
LEFT_OUT = {"results", "wandb", "data", "node_modules", "venv", "__pycache__", "hypertrain"}
"""Folders where no program of the user's is looked for."""
VALUED = ("-W", "-X", "--check-hash-based-pycs")
"""Python's options that take the next word."""


@dataclass(frozen=True)
class Target:
    """What a command runs. word: as the command names it.

    ours: found by this machine's Python or shell, not by a launcher such as conda.
    """

    kind: Literal["script", "module", "executable"]
    word: str
    ours: bool


def find(
    program: str | None, command: Sequence[str] | None, root: Path, notes: Notes
) -> tuple[str | None, Path | None]:
    """What `${program}` stands for, and the program's file; None where it cannot be known.

    The file is relative to `root` if it lies there. What cannot run is noted.
    """
    words = command or DEFAULT
    if PROGRAM in words and not program:
        text = "is missing; name the training script, as `program: modules/train.py`"
        notes.problem(("program",), text)
        return program, None
    plain = _plain(words)
    _doubt_launcher(plain, root, notes)
    target = _target(plain)
    if PROGRAM not in words:
        return program, _named_in_command(target, root, notes) if target else None
    assert program is not None
    assert target is not None
    program = _mounted(program, root)
    if target.kind == "module":
        return program, _module(program, target, words, root, notes)
    if target.kind == "executable" and "/" not in program:
        return program, _on_path(program, root, notes)
    return _script(program, target, root, notes)


def _plain(words: Sequence[str]) -> list[str]:
    """The words after `env` and the variables that it sets."""
    plain = list(words)
    while plain and (plain[0] in ("${env}", "env", "/usr/bin/env") or re.match(r"\w+=", plain[0])):
        plain.pop(0)
    return plain


def _doubt_launcher(plain: Sequence[str], root: Path, notes: Notes) -> None:
    """What begins the command may be elsewhere: on this machine it is missing."""
    word = plain[0] if plain else "${env}"
    if "$" in word or _is_python(word) or _is_file(root / word) or _which(word):
        return
    if len(word.split()) > 1:
        listed = typed([*word.split(), *plain[1:]])
        notes.problem(("command",), f"{word} is one word; write each for itself: {listed}")
    elif word.startswith("~"):
        text = f"{word} is not found: ~ is not expanded here; write ${{envvar:HOME}}{word[1:]}"
        notes.warning(("command",), text)
    else:
        notes.warning(("command",), f"there is no command {word} on this machine")


def _target(plain: Sequence[str]) -> Target | None:
    """What the words run, as far as they tell."""
    if PROGRAM in plain:
        at = plain.index(PROGRAM)
        ours = at == 0 or _is_python(plain[0])
        if at and plain[at - 1] in ("-m", "--module"):
            return Target("module", PROGRAM, ours)
        return Target("script" if at else "executable", PROGRAM, ours)
    python = next((i for i, word in enumerate(plain) if _is_python(word)), None)
    return None if python is None else _after_python(plain[python + 1 :], python == 0)


def _is_python(word: str) -> bool:
    return word == "${interpreter}" or bool(re.fullmatch(r"python[\d.]*", Path(word).name))


def _after_python(words: Sequence[str], ours: bool) -> Target | None:
    rest = iter(words)
    for word in rest:
        if word in ("-c", "-"):
            return None
        if word == "-m":
            name = next(rest, None)
            return Target("module", name, ours) if name else None
        if word in VALUED:
            next(rest, None)
        elif not word.startswith(("-", "${")):
            return Target("script", word, ours)
    return None


def _named_in_command(target: Target, root: Path, notes: Notes) -> Path | None:
    """The file of a program that `command` names itself."""
    found = _module_file(target.word, root) if target.kind == "module" else root / target.word
    if found and _is_file(found):
        return _relative(found, root)
    if target.kind == "script" and target.ours and "$" not in target.word:
        near = _likely(target.word, root, notes.path)
        remedy = f"write {near}" if near else f"name it by its path from {root}"
        notes.problem(("command",), f"there is no file {target.word}; {remedy}")
    return None


def _mounted(program: str, root: Path) -> str:
    """The platform mounts the project at /project: such a path means the same file here."""
    path = PurePosixPath(program)
    for top in (root.as_posix(), "/project"):
        if path.is_absolute() and path.is_relative_to(top) and path != PurePosixPath(top):
            return path.relative_to(top).as_posix()
    return program


def _module(
    program: str, target: Target, command: Sequence[str], root: Path, notes: Notes
) -> Path | None:
    if _is_file(root / program):
        meant = ".".join(PurePosixPath(program).with_suffix("").parts)
        notes.warning(("program",), f"-m runs a module, not a file: `program: {meant}` is its name")
        return _relative(root / program, root)
    found = _module_file(program, root)
    if found is None and target.ours and not _importable(program, command):
        near = _likely(program.replace(".", "/") + ".py", root, notes.path)
        remedy = f"write `program: {_dotted(near)}`" if near else f"name one below {root}"
        notes.problem(("program",), f"there is no module {program}; {remedy}")
    return _relative(found, root) if found else None


def _module_file(name: str, root: Path) -> Path | None:
    """What `python -m name` runs in the project."""
    if not re.fullmatch(r"\w+(\.\w+)*", name):
        return None
    path = root.joinpath(*name.split("."))
    return next((f for f in (path.with_suffix(".py"), path / "__main__.py") if _is_file(f)), None)


def _importable(name: str, command: Sequence[str]) -> bool:
    """Whether an installed package or module may have this name; nothing is imported."""
    if "PYTHONPATH" in os.environ or any("PYTHONPATH" in word for word in command):
        return True
    top = name.split(".")[0]
    found = (Path(folder, top) for folder in sys.path if folder)
    return any(path.is_dir() or path.with_suffix(".py").is_file() for path in found)


def _dotted(path: str) -> str:
    return ".".join(PurePosixPath(path).with_suffix("").parts)


def _on_path(program: str, root: Path, notes: Notes) -> Path | None:
    """A console script: looked for on PATH alone, never in the folder where it runs."""
    if not _which(program):
        here = f"write `program: ./{program}`" if _is_file(root / program) else None
        remedy = here or "install it, or name a file by its path"
        notes.problem(("program",), f"there is no command {program} on PATH; {remedy}")
    return None


def _which(program: str) -> str | None:
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    return shutil.which(program, path=os.pathsep.join(folders))


def _script(program: str, target: Target, root: Path, notes: Notes) -> tuple[str, Path | None]:
    here = [program] if "\\" not in program else [program, PureWindowsPath(program).as_posix()]
    for name in here:
        file = root / name / "__main__.py" if _is_dir(root / name) else root / name
        if _is_file(file):
            if target.kind == "executable" and not os.access(file, os.X_OK):
                text = f"{name} cannot be executed; run `chmod +x {shlex.quote(name)}`"
                notes.problem(("program",), text)
            elif not os.access(file, os.R_OK):
                text = f"{name} cannot be read; run `chmod +r {shlex.quote(name)}`"
                notes.problem(("program",), text)
            if not file.resolve().is_relative_to(root.resolve()):
                outside = "lies outside the project; the platform gets what is inside"
                notes.warning(("program",), f"{name} {outside}")
            return name, _relative(file, root)
    if target.ours or re.search(r"[./]", program):
        notes.problem(("program",), f"there is no file {program}; {_remedy(program, root, notes)}")
    return program, None


def _remedy(program: str, root: Path, notes: Notes) -> str:
    words = program.split()
    if len(words) > 1 or program.startswith("-"):
        named = [word for word in words if word.endswith(".py")]
        if "-m" in words[:-1]:
            name = words[words.index("-m") + 1]
            return f"write `program: {name}` and `command: {typed(MODULE)}`"
        if named:
            more = words[words.index(named[0]) + 1 :]
            command = ["${env}", "python", PROGRAM, *more, "${args}"]
            extra = f" and `command: {typed(command)}`" if more else ""
            return f"write `program: {named[0]}`{extra}"
    if near := _likely(program, root, notes.path):
        return f"write `program: {near}`"
    if _module_file(program, root):
        return f"to run a module write `command: {typed(MODULE)}`"
    return f"use a path relative to {root}"


def _likely(program: str, root: Path, sweep_file: Path) -> str | None:
    """The project's file that was probably meant, relative to the root."""
    parts = PurePosixPath(program.replace("\\", "/")).parts or ("",)
    beside = [sweep_file.parent / program]
    below = [root.joinpath(*parts[i:]) for i in range(1, len(parts))]
    for file in [*beside, *below, root / f"{program}.py"]:
        if _is_file(file) and file.resolve().is_relative_to(root.resolve()):
            return file.resolve().relative_to(root.resolve()).as_posix()
    files = [file.relative_to(root).as_posix() for file in scripts(root)]
    named = {PurePosixPath(file).name: file for file in reversed(files)}
    near = difflib.get_close_matches("/".join(parts), files, n=1, cutoff=0.85)
    near += [named[n] for n in difflib.get_close_matches(parts[-1], named, n=1, cutoff=0.85)]
    return near[0] if near else None


def scripts(root: Path) -> Iterator[Path]:
    """Scripts of the project, those near its root first; a great many are not looked through."""
    folders = [root]
    for folder in folders:  # grows meanwhile
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            continue
        yield from (entry for entry in entries if entry.suffix in (".py", ".sh"))
        below = [e for e in entries if e.name not in LEFT_OUT and e.name[0] != "." and _is_dir(e)]
        folders += below[: 1000 - len(folders)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, say, or with a zero byte
        return False


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _relative(file: Path, root: Path) -> Path:
    full, top = file.resolve(), root.resolve()
    return full.relative_to(top) if full.is_relative_to(top) else full
