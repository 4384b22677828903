# Special: libraries set environment variables as they are imported, for themselves or for others.
import argparse
import os

import jax
import sklearn
import wandb

p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.5)
p.add_argument("--units", type=int, default=2)
a = p.parse_args()
libraries = ("JAX", "KMP", "TF_", "XLA")
print([f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(libraries)])
wandb.init(config=vars(a))
wandb.log({"acc": a.lr})
