import argparse

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
with wandb.init(config=vars(args)) as run:
    for step in range(3):
        run.log({"acc": args.lr * step})
print("child")
