# Special: own package in the root; its module parses the command line when imported.
import os
import sys

sys.path.append(os.getcwd())
import wandb
from mylib.model import fit
from mylib.options import args

run = wandb.init(config=vars(args))
print("used", args)
for loss, acc in fit(args.lr, args.units):
    run.log({"acc": acc - loss})
