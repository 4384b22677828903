# Special: takes the parameters from run.config only if run.sweep_id is set.
import argparse
import os
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
