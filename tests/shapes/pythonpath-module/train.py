# Special: a module from PYTHONPATH that seeds and reads the environment when it is imported.
import argparse
import os

import wandb
from measures import RUN, measure

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
assert os.environ["WANDB_RUN_ID"] == RUN, RUN
wandb.init(config=vars(args))
for _ in range(3):
    wandb.log({"acc": measure(args.lr)})
