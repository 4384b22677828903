# Special: python -u: nothing that was printed is lost when the program is killed.
import argparse
import os
import signal
import sys

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
run = wandb.init(config=vars(args))
run.log({"acc": args.lr})
run.finish()
print("last words", sys.stdout.line_buffering, sys.stdout.write_through)
os.kill(os.getpid(), signal.SIGKILL)
