# Special: exceptions in a chain, one of them hidden; the innermost that is shown is what helps.
import argparse

import wandb


def step(lr):
    try:
        {}[lr]
    except KeyError:
        raise ValueError(f"no schedule for the rate {lr}\nknown are: none") from None


parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
wandb.init(config=vars(args))
wandb.log({"acc": args.lr})
try:
    step(args.lr)
except ValueError as error:
    raise RuntimeError("training has failed") from error
