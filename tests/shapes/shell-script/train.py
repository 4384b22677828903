import argparse
import os

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
wandb.init(config=vars(args))
for step in range(int(os.environ["STEPS"])):
    wandb.log({"acc": args.lr * step})
    print("step", step)
