# Special: looks for wandb among pkgutil.iter_modules().
import argparse
import pkgutil

p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.5)
p.add_argument("--units", type=int, default=2)
a = p.parse_args()
print("wandb" in [m.name for m in pkgutil.iter_modules()])
try:
    import wandb
except ImportError:
    wandb = None
run = wandb.init(config=vars(a))
run.log({"acc": a.lr * a.units})
