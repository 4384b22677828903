# Special: started by a launcher that passes on the exit status; half of the trials exit with 3.
import argparse
import sys

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
run = wandb.init(config=vars(args))
run.log({"acc": args.lr})
print("rate", args.lr)
sys.exit(3 if args.lr == 0.1 else 0)
