# Special: closes its standard streams before it ends; wandb and the end must live with that.
import argparse
import os
import sys

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
wandb.init(config=vars(args))
wandb.log({"acc": args.lr})
print("before", flush=True)
wandb.finish()
sys.stdin.close()
sys.stdout.close()
os.close(1)
with open(f"out-{args.lr}.txt", "w") as file:
    print("after", file=file)
