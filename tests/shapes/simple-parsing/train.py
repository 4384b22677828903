# Special: simple_parsing fills a dataclass; needs the source of the class for its help.
from dataclasses import dataclass
import torch
from simple_parsing import ArgumentParser
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


@dataclass
class Options:
    lr: float = 0.5  # rate
    units: int = 2  # units


parser = ArgumentParser()
parser.add_arguments(Options, dest="options")
o = parser.parse_args().options
wandb.init(config=vars(o))
for loss, acc in fit(o.lr, o.units):
    wandb.log({"loss": loss, "acc": acc})
