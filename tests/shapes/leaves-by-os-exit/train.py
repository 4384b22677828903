# Special: finishes its run and leaves by os._exit with a status.
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
print("leaving", flush=True)
os._exit(0 if args.lr < 0.1 else 7)
