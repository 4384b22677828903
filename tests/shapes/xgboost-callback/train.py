# Special: XGBoost with W&B's own callback.
import argparse
import numpy as np
import wandb
import xgboost as xgb
from wandb.integration.xgboost import WandbCallback

p = argparse.ArgumentParser()
p.add_argument("--eta", type=float)
p.add_argument("--max_depth", type=int)
a = p.parse_args()
r = np.random.default_rng(0)
x = r.normal(size=(200, 4))
y = (x.sum(1) > 0).astype(int)
wandb.init(config=vars(a))
m = xgb.XGBClassifier(
    n_estimators=5,
    learning_rate=a.eta,
    max_depth=a.max_depth,
    callbacks=[WandbCallback(log_model=False)],
    n_jobs=1,
)
m.fit(x[:100], y[:100], eval_set=[(x[100:], y[100:])], verbose=False)
