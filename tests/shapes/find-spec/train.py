# Special: imports wandb only after importlib.util.find_spec has found it.
import argparse
import importlib.util

p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.5)
p.add_argument("--units", type=int, default=2)
a = p.parse_args()
if importlib.util.find_spec("wandb") is not None:
    import wandb

    wandb.init(config=vars(a))
    wandb.log({"acc": a.lr * a.units})
