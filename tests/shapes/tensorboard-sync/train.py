# Special: sync_tensorboard: values come from a SummaryWriter.
import argparse
import torch
from torch.utils.tensorboard import SummaryWriter
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
run = wandb.init(config=vars(a), sync_tensorboard=True)
w = SummaryWriter(f"tb/{run.id}")
for e, (loss, acc) in enumerate(fit(a.lr, a.units)):
    w.add_scalar("acc", acc, e)
w.close()
