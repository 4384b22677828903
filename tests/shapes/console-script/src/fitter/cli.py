# Special: the command is a console script of the project's own package, installed as editable.
import argparse
import sys

import wandb


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.5)
    parser.add_argument("--units", type=int, default=2)
    args = parser.parse_args()
    with wandb.init(config=vars(args)) as run:
        for step in range(5):
            run.log({"acc": args.lr * step})
    print(sys.argv[0], __name__)
    return 0
