# Special: prints what a program can see of the process it runs in.
import argparse
import gc
import inspect
import multiprocessing
import os
import resource
import signal
import sys
import threading
import traceback
from pathlib import Path

import numpy
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
main = sys.modules["__main__"]
print("name", __name__, __file__, __spec__, __package__, __doc__, type(__loader__).__name__)
print("main", main.__dict__ is globals(), sorted(name for name in globals() if name[0] == "_"))
print("frames", [frame.name for frame in traceback.extract_stack()], len(inspect.stack()))
print("argv", sys.argv, sys.orig_argv[1:], sys.executable == sys.orig_argv[0])
for place in sys.path:
    print("path", place)
print("folder", os.getcwd())
print("process", multiprocessing.current_process(), multiprocessing.parent_process())
print("children", multiprocessing.active_children(), multiprocessing.get_start_method())
print("threads", [thread.name for thread in threading.enumerate()])
names = ("SIGINT", "SIGTERM", "SIGPIPE", "SIGCHLD", "SIGHUP", "SIGUSR1")
print("signals", [(name, signal.getsignal(getattr(signal, name))) for name in names])
print("blocked", signal.pthread_sigmask(signal.SIG_BLOCK, []))
print("files", sorted(int(name) for name in os.listdir("/proc/self/fd") if int(name) < 100)[:-1])
print("streams", [(s.name, s.mode, s.encoding, s.errors) for s in (sys.stdin, sys.stdout)])
print("buffers", sys.stdout.line_buffering, sys.stderr.line_buffering, sys.stdout.isatty())
print("hooks", sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook)
print("collector", len(gc.callbacks), gc.isenabled(), gc.get_threshold())
print("limits", resource.getrlimit(resource.RLIMIT_NOFILE), sys.getrecursionlimit())
print("flags", sys.flags, sys.dont_write_bytecode, os.umask(0o022), os.nice(0))
print("meta path", [getattr(f, "__name__", type(f).__name__) for f in sys.meta_path])
print("source", len(inspect.getsource(main)), Path(__file__).is_absolute(), numpy.__name__)
print("sweep", sorted(name for name in os.environ if name.startswith("WANDB_SWEEP")))
run = wandb.init(config=vars(args))
print("log", inspect.signature(run.log).parameters.keys(), run.log.__qualname__, run.log.__module__)
run.log({"acc": args.lr})
