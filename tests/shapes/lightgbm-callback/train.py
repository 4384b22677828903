# Special: LightGBM with W&B's own callback and log_summary.
import argparse
import lightgbm as lgb
import numpy as np
import wandb
from wandb.integration.lightgbm import log_summary, wandb_callback

p = argparse.ArgumentParser()
p.add_argument("--eta", type=float)
p.add_argument("--leaves", type=int)
a = p.parse_args()
r = np.random.default_rng(0)
x = r.normal(size=(400, 4))
y = (x.sum(1) + r.normal(size=400) > 0).astype(int)
wandb.init(config=vars(a))
d = lgb.Dataset(x[:200], y[:200])
b = lgb.train(
    {
        "objective": "binary",
        "metric": "auc",
        "learning_rate": a.eta,
        "num_leaves": a.leaves,
        "verbose": -1,
        "num_threads": 1,
    },
    d,
    5,
    valid_sets=[lgb.Dataset(x[200:], y[200:], reference=d)],
    callbacks=[wandb_callback(define_metric=True)],
)
log_summary(b, save_model_checkpoint=False)
