# Special: os.fork by the program: child and parent both log, only the parent waits and ends.
import argparse
import os

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
run = wandb.init(config=vars(args))
run.log({"acc": args.lr})
child = os.fork()
if child == 0:
    with open(f"child-{args.lr}.txt", "w") as file:
        file.write("from the child\n")
    os._exit(0)
os.waitpid(child, 0)
run.log({"acc": args.lr * 2})
