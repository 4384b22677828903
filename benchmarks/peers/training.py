"""The project's unmodified train.py, run inside a process that has imported everything already."""

import io
import re
import runpy
import sys
from contextlib import redirect_stdout
from pathlib import Path

PROGRAM = Path("modules", "train.py").absolute()


def train(arguments: list[str]) -> float:
    """What `python train.py ARGUMENTS` does; its best accuracy."""
    sys.argv = [str(PROGRAM), *arguments]
    if str(PROGRAM.parent) not in sys.path:
        sys.path.insert(0, str(PROGRAM.parent))
    output = io.StringIO()
    with redirect_stdout(output):
        runpy.run_path(str(PROGRAM), run_name="__main__")
    best = re.search(r"^best \S+ (\S+)", output.getvalue(), re.MULTILINE)
    assert best is not None, output.getvalue()
    return float(best[1])
