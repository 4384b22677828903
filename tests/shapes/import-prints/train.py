# Special: something imported prints and warns when it is imported.
import argparse
import this
import warnings

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
warnings.warn("shown once")
wandb.init(config=vars(args))
wandb.log({"acc": args.lr * len(this.d)})
