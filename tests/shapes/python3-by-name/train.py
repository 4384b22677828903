# Special: ${interpreter} replaced by python3, with an option of the interpreter.
import argparse
import sys

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
print(sys.warnoptions, sys.flags.optimize, __debug__)
wandb.init(config=vars(args))
wandb.log({"acc": args.lr * args.units})
