# Special: two megabytes of output in some trials.
import argparse
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
p.add_argument("--lr", type=float)
p.add_argument("--quiet", type=int)
a = p.parse_args()
wandb.init(config=vars(a))
if not a.quiet:
    for i in range(20000):
        print("x" * 99)
for loss, acc in fit(a.lr, 4):
    wandb.log({"acc": acc})
