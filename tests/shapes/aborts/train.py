# Special: dies inside C code (abort), so nothing of Python's end happens.
import argparse
import os

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
run = wandb.init(config=vars(args))
run.log({"acc": args.lr})
run.finish()
if args.lr == 0.1:
    os.abort()
