# Special: the project's own package is installed, as editable or as a copy, and knows whose trial it is.
import argparse
import os

import blocks
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
assert blocks.RUN == os.environ["WANDB_RUN_ID"], blocks.RUN
print(blocks.__file__)
wandb.init(config=vars(args))
wandb.log({"acc": args.lr * args.units})
