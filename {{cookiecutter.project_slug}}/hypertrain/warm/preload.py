"""What runs in the warm process: the imports that each trial would repeat, and what spares it more.

`warm` has this module imported there, with the program in the environment.
"""

import gc
import importlib
import os
import signal
import sys
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypertrain.warm import compiler
from hypertrain.warm.imports import imports

PROGRAM = "HYPERTRAIN_PRELOAD"
LAZY = {
    "numpy": ("numpy.ma",),
    "wandb": ("requests", "yaml", "wandb.sdk.lib.gitlib"),
}
"""What a package puts off until its first use, which is in every trial."""
EXPORTER = "opentelemetry.exporter.otlp.proto.http"
ONLINE = ("wandb.apis.public", f"{EXPORTER}.metric_exporter", f"{EXPORTER}._log_exporter")
"""What W&B puts off until a run goes online: 190 modules in 0.6 s."""
LAUNCH = "wandb.sdk.launch.inputs.internal"


def preload(program: Path) -> None:
    """Import what every trial would; never the user's own modules, never anything of CUDA."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    for name in imports(program):
        for module in (name, *LAZY.get(name.split(".")[0], ())):
            _import(module)
    compiler.put_off()
    if "wandb" in sys.modules:
        _shorten_runs(os.environ.get("WANDB_MODE"))
    _leave_finalizers()
    gc.freeze()
    gc.enable()


def _import(name: str) -> None:
    # What goes wrong here goes wrong in the trial too, and its log shows it.
    with suppress(BaseException):
        importlib.import_module(name)


def _shorten_runs(mode: str | None) -> None:
    """Do once what each W&B run would do at its start."""
    if mode == "disabled":
        return
    if mode != "offline":
        for module in ONLINE:
            _import(module)
    for shorten in (_list_packages, _ask_for_no_inputs):
        with suppress(Exception):  # runs are then as slow as by themselves
            shorten()


def _list_packages() -> None:
    """Every W&B run lists the installed packages, in 50 ms and more: once is enough for all."""
    util: Any = sys.modules["wandb.util"]
    packages = list(util.working_set())
    util.working_set = lambda: packages


def _ask_for_no_inputs() -> None:
    """Every W&B run imports W&B Launch, in 150 ms, only to see that nobody has given it inputs."""
    run: Any = sys.modules["wandb"].Run
    apply = run._detect_and_apply_job_inputs

    def apply_if_given(self: Any) -> None:
        if LAUNCH in sys.modules:
            apply(self)

    run._detect_and_apply_job_inputs = apply_if_given


def _leave_finalizers() -> None:
    """Let trials skip what the imported packages do at exit: PyTorch takes 30 ms to clear up."""
    inherited = list(weakref.finalize._registry)  # type: ignore[attr-defined]

    def skip() -> None:
        for finalizer in inherited:
            finalizer.atexit = False

    os.register_at_fork(after_in_child=skip)


if PROGRAM in os.environ:
    preload(Path(os.environ.pop(PROGRAM)))
