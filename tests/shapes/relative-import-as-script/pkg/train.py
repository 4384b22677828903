# Special: relative imports but run as a script: fails by hand and must fail with the same reason.
import argparse
import wandb
from .model import fit


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=0.5)
    p.add_argument("--units", type=int, default=2)
    a = p.parse_args()
    wandb.init(config=vars(a))
    for loss, acc in fit(a.lr, a.units):
        wandb.log({"loss": loss, "acc": acc})


if __name__ == "__main__":
    main()
