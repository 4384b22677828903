#!/usr/bin/env python
# coding: utf-8
# Special: an exported notebook that parses sys.argv by itself and writes globals().
# In[1]:
import sys
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


# In[2]:
lr, units = 0.5, 2
for w in sys.argv[1:]:
    k, v = w.lstrip("-").split("=")
    globals()[k] = float(v)
# In[3]:
run = wandb.init(config=dict(lr=lr, units=units))
for loss, acc in fit(lr, units):
    run.log({"acc": acc})
