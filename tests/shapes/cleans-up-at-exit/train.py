# Special: much is left to the interpreter's end: atexit, finalizers, logging, temporary folders.
import argparse
import atexit
import logging
import logging.handlers
import tempfile
import weakref
from pathlib import Path

import wandb


class Model:
    pass


class Writer:
    """Writes when it is collected, which for a global is at the interpreter's end."""

    def __init__(self, path):
        self.file = path.open("w")

    def __del__(self):
        self.file.write("collected\n")
        self.file.close()


parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
out = Path("out")
out.mkdir(exist_ok=True)
scratch = tempfile.TemporaryDirectory(dir=out)
Path(scratch.name, "x.txt").write_text("x")
model = Model()
weakref.finalize(model, (out / f"{args.lr}-finalized.txt").write_text, "done\n")
atexit.register((out / f"{args.lr}-atexit.txt").write_text, "done\n")
target = logging.FileHandler(out / f"{args.lr}-log.txt")
logging.getLogger().addHandler(logging.handlers.MemoryHandler(1000, target=target))
writer = Writer(out / f"{args.lr}-collected.txt")
rows = (out / f"{args.lr}-rows.csv").open("w")
run = wandb.init(config=vars(args))
for step in range(2000):
    rows.write(f"{step},{args.lr}\n")
    logging.warning("step %s", step)
run.log({"acc": args.lr})
