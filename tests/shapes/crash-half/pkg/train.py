# Special: half of the trials raise after they have logged.
import argparse
import time
import wandb

p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.5)
p.add_argument("--units", type=int, default=2)
a = p.parse_args()
wandb.init(config=vars(a))
wandb.log({"acc": a.lr})
time.sleep(1)
if a.lr == 0.1:
    raise RuntimeError("diverged")
