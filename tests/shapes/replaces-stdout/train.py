# Special: writes everything to a file as well, and counts what logging and print said.
import argparse
import logging
import sys

import wandb


class Tee:
    def __init__(self, stream, path):
        self.stream, self.file = stream, open(path, "w")

    def write(self, text):
        self.stream.write(text)
        return self.file.write(text)

    def flush(self):
        self.stream.flush()
        self.file.flush()

    def isatty(self):
        return False


parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
sys.stdout = Tee(sys.stdout, f"stdout-{args.lr}.txt")
sys.stderr = Tee(sys.stderr, f"stderr-{args.lr}.txt")
logging.basicConfig(level=logging.INFO)
wandb.init(config=vars(args))
for step in range(3):
    print("step", step)
    logging.info("rate %s", args.lr)
    wandb.log({"acc": args.lr * step})
