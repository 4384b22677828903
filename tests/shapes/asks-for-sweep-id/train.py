# Special: takes the parameters from run.config only if run.sweep_id is set.
import argparse
import os
import numpy
import wandb


def fit(lr, units, steps=30, seed=0):
    random = numpy.random.default_rng(seed)
    x = random.standard_normal((64, 3))
    y = (x.sum(1) > 0).astype(float)
    w, v = random.standard_normal((3, int(units))), random.standard_normal(int(units))
    for _ in range(steps):
        hidden = numpy.tanh(x @ w)
        guess = 1 / (1 + numpy.exp(-hidden @ v))
        slope = (guess - y) / len(y)
        inner = numpy.outer(slope, v) * (1 - hidden**2)
        w, v = w - float(lr) * x.T @ inner, v - float(lr) * hidden.T @ slope
        loss = -numpy.log(numpy.where(y > 0, guess, 1 - guess)).mean()
        yield float(loss), float(((guess > 0.5) == (y > 0)).mean())


p = argparse.ArgumentParser()
p.add_argument("--steps", type=int, default=30)
a, _ = p.parse_known_args()
cfg = dict(lr=0.5, units=2)
run = wandb.init(config=cfg)
if run.sweep_id:  # only in a sweep its values replace ours
    cfg.update(run.config)
print("sweep", run.sweep_id, os.environ.get("WANDB_SWEEP_ID"), "cfg", cfg)
for loss, acc in fit(cfg["lr"], cfg["units"], a.steps):
    run.log({"acc": acc - loss})
