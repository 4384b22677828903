# Special: changes the folder, then uses __file__ and inspect.getsource.
import argparse
import inspect
import os
from pathlib import Path
import torch
import wandb


def fit(lr, units, steps=30, seed=0):
    torch.manual_seed(seed)
    x = torch.randn(64, 3)
    y = (x.sum(1, keepdim=True) > 0).float()
    net = torch.nn.Sequential(
        torch.nn.Linear(3, int(units)), torch.nn.Tanh(), torch.nn.Linear(int(units), 1)
    )
    for _ in range(steps):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x), y)
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for weight in net.parameters():
                weight -= float(lr) * weight.grad
        yield loss.item(), ((net(x) > 0) == (y > 0)).float().mean().item()


p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.5)
p.add_argument("--units", type=int, default=2)
a = p.parse_args()


def show():
    return 1


wandb.init(config=vars(a))
work = Path("work") / f"lr{a.lr}-{a.units}"
work.mkdir(parents=True, exist_ok=True)
os.chdir(work)
print(len(inspect.getsource(show)), __file__)
steps = int((Path(__file__).parent / "steps.txt").read_text())
for loss, acc in fit(a.lr, a.units, steps):
    wandb.log({"acc": acc})
torch.save({"acc": acc}, "model.pt")
