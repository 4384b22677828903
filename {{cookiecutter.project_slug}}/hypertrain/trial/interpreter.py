"""Whether a command line is a Python program run by this interpreter: only such start warm."""

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ENV = ("/usr/bin/env", "env")
FLAGS = re.compile(r"-[bBdOPqRuvx]+|-[WX].*")
"""Options that change nothing of what is imported; -E, -I, -s and -S would keep us out."""


@dataclass(frozen=True)
class PythonProgram:
    """`python [options] program [arguments]`, or `python -m module [arguments]`.

    executable: the interpreter's path. start: the words up to the program, which all trials share.
    """

    executable: str
    start: tuple[str, ...]
    arguments: tuple[str, ...]
    program: str
    is_module: bool


def python_program(words: Sequence[str], environ: Mapping[str, str]) -> PythonProgram | None:
    """The program that the command line runs with this interpreter; None if it does not."""
    words = list(words[1:] if words and words[0] in ENV else words)
    executable = shutil.which(words[0], path=environ.get("PATH")) if words else None
    if not executable or not _is_this(executable):
        return None
    place = 1
    while place < len(words) and FLAGS.fullmatch(words[place]):
        place += 2 if words[place] in ("-W", "-X") else 1
    is_module = place < len(words) and words[place].startswith("-m")
    if is_module and words[place] == "-m":
        place += 1
    if place >= len(words):
        return None
    program = words[place].removeprefix("-m") if is_module else words[place]
    if program.startswith("-") or not program or not (is_module or Path(program).exists()):
        return None
    cut = place + 1
    return PythonProgram(executable, (*words[:cut],), (*words[cut:],), program, is_module)


def _is_this(executable: str) -> bool:
    """The same interpreter in the same environment, by whichever of its names."""
    here = Path(sys.executable)
    same_folder = Path(executable).parent.samefile(here.parent)
    return same_folder and here.samefile(executable)
