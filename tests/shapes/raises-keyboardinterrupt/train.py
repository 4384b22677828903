# Special: ends by KeyboardInterrupt, as W&B's stop button makes it; half of the trials.
import argparse
import signal
import time

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
run = wandb.init(config=vars(args))
run.log({"acc": args.lr})
if args.lr == 0.1:
    signal.raise_signal(signal.SIGINT)
    time.sleep(10)
