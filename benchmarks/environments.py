"""What the benchmarks need, kept in a cache: environments for the peers, and a baked project."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "benchmarks"
HERE = Path(__file__).resolve().parent
PROJECT = ["-r", str(ROOT / "{{cookiecutter.project_slug}}" / "requirements.txt")]
INSTALLED = {
    "project": [PROJECT],
    "ray": [[*PROJECT, "ray[tune]==2.60.0"]],
    "tools": [
        [*PROJECT, "cookiecutter==2.7.1", "pytest==9.2.0", "matplotlib==3.11.2"],
        # W&B's engine asks for numpy < 2, and runs on numpy 2.
        ["jsonschema==4.26.0", "jsonref==1.1.0"],
        ["--no-deps", "sweeps==0.3.0"],
    ],
}


def python(name: str) -> Path:
    """The interpreter of an environment, which is made when it is not there."""
    folder = CACHE / name
    found = folder / "bin" / "python"
    wanted = repr(INSTALLED[name]) + Path(PROJECT[1]).read_text()
    mark = folder / "installed.txt"
    if not mark.exists() or mark.read_text() != wanted:
        print(f"installing the environment {name} in {folder.relative_to(ROOT)}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for words in INSTALLED[name]:
            subprocess.run([found, "-m", "pip", "install", "--quiet", *words], check=True)
        mark.write_text(wanted)
    return found


def variables(name: str, project: Path) -> dict[str, str]:
    """What the processes of a peer find in their environment: nothing of the user's W&B account."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {
        "PATH": os.pathsep.join([str(python(name).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(project), str(HERE / "peers")]),
        "HOME": str(CACHE / "home"),
        "OMP_NUM_THREADS": "1",
    }


def bake(interpreter: Path) -> Path:
    """A fresh project, with the answers that the template proposes.

    interpreter: of an environment that has cookiecutter.
    """
    template, baked = CACHE / "template", CACHE / "baked"
    for folder in (template, baked):
        shutil.rmtree(folder, ignore_errors=True)
    # As a clone has it: caches that lie about would be baked along.
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (template / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, template / name)
    (CACHE / "home").mkdir(parents=True, exist_ok=True)
    words = [str(interpreter), "-m", "cookiecutter", "--no-input", str(template)]
    words += ["--output-dir", str(baked)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (project,) = baked.iterdir()
    return project
