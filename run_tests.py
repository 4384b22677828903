#!/usr/bin/env python3
"""All tests, with all that they need; arguments are pytest's:

python3 run_tests.py
python3 run_tests.py tests/test_answers.py -x
"""

import os
import subprocess
import sys

from try_it import PIP, ROOT, TEMPLATE, environment


def main() -> None:
    project = ROOT / TEMPLATE
    files = [ROOT / "tests" / "requirements.txt", project / "requirements-dev.txt"]
    needed = [PIP, *(word for file in files for word in ("-r", file))]
    folder = ROOT / ".cache" / "tests"
    environment("what the tests need", folder, *needed, "-c", project / "constraints.txt")
    # The official engine, to compare with; by its metadata it would want an older NumPy.
    python = environment("W&B's search engine", folder, "--no-deps", "sweeps==0.3.0")
    os.chdir(ROOT)
    # One more than cores, as tests wait half of their time; in conftest.py's order.
    side_by_side = [f"--numprocesses={(os.cpu_count() or 1) + 1}", "--no-loadscope-reorder"]
    pytest = [str(python), "-m", "pytest", *side_by_side, *sys.argv[1:]]
    sys.exit(subprocess.run(pytest, check=False).returncode)  # noqa: S603


if __name__ == "__main__":
    main()
