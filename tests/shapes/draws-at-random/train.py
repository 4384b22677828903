# Special: seeds nothing: every trial has numbers of its own.
import argparse
import random

import numpy.random
import torch
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
run = wandb.init(config=vars(args))
drawn = {"python": random.random(), "numpy": numpy.random.rand(), "torch": torch.rand(1).item()}
run.log({"acc": args.lr, **drawn})
