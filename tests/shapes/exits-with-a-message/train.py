# Special: sys.exit with a text: it goes to stderr, the status is 1.
import argparse
import sys

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
run = wandb.init(config=vars(args))
run.log({"acc": args.lr})
if args.lr == 0.1:
    sys.exit("the rate 0.1 is too high")
