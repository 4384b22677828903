#!/usr/bin/env python
# coding: utf-8
# Special: an exported notebook that parses sys.argv by itself and writes globals().
# In[1]:
import sys
import torch
import wandb


def fit(lr, units, steps=30, seed=0):
    torch.manual_seed(seed)
    x = torch.randn(64, 3)
    y = (x.sum(1, keepdim=True) > 0).float()
    net = torch.nn.Sequential(
        torch.nn.Linear(3, int(units)), torch.nn.Tanh(), torch.nn.Linear(int(units), 1)
    )
    opt = torch.optim.SGD(net.parameters(), lr=float(lr))
    for _ in range(steps):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        yield loss.item(), ((net(x) > 0) == (y > 0)).float().mean().item()


# In[2]:
lr, units = 0.5, 2
for w in sys.argv[1:]:
    k, v = w.lstrip("-").split("=")
    globals()[k] = float(v)
# In[3]:
run = wandb.init(config=dict(lr=lr, units=units))
for loss, acc in fit(lr, units):
    run.log({"acc": acc})
