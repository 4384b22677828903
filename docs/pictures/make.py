"""The pictures of README, from a sweep that is run for them:

    .cache/tests/bin/python docs/pictures/make.py

Needs tmux and Chromium.
"""

import io
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cookiecutter.main import cookiecutter
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests"))
COLUMNS, WIDTH, HEIGHT = 80, 1400, 1080


def main() -> None:
    from browser import Browser

    with tempfile.TemporaryDirectory() as temporary:
        answers = {"project_name": "Hyperparameter tuning test"}
        project = Path(cookiecutter(str(ROOT), None, True, answers, output_dir=temporary))
        shown = on_a_terminal(project).partition("\nBring the runs to W&B")[0]
        terminal = picture(f"$ python -m hypertrain\n{shown}")
        (HERE / "terminal.svg").write_text(terminal)
        (report,) = project.glob("results/*/report.html")
        with Browser(WIDTH, HEIGHT) as browser:
            browser.open(report)
            browser.screenshot(HERE / "report.png", whole=False)


def on_a_terminal(project: Path) -> str:
    """What the sweep leaves on a terminal, with its colours."""
    tmux = ["tmux", "-L", f"pictures-{os.getpid()}", "-f", "/dev/null"]
    words = [sys.executable, "-m", "hypertrain"]
    environ = {"HOME": str(project), "NETRC": os.devnull, "WANDB_MODE": "offline"}

    def ask(*arguments: str) -> str:
        done = subprocess.run([*tmux, *arguments], check=True, capture_output=True, text=True)  # noqa: S603
        return done.stdout

    ask(
        *("new-session", "-d", "-x", str(COLUMNS), "-y", "100", "-c", str(project)),
        *(word for name, value in environ.items() for word in ("-e", f"{name}={value}")),
        *words,
        *(";", "set-option", "remain-on-exit", "on"),
    )
    try:
        while ask("display-message", "-p", "#{pane_dead}").strip() != "1":
            time.sleep(0.2)
        return ask("capture-pane", "-e", "-p", "-S", "-").partition("Pane is dead")[0]
    finally:
        ask("kill-server")


def picture(shown: str) -> str:
    """As SVG, which fetches no font from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(shown.rstrip()))
    drawn = console.export_svg(title="hypertrain")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.S)


if __name__ == "__main__":
    main()
