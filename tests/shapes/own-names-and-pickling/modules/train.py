# Special: own modules named like the tuner's, pickling, fork and spawn pools, inspect, annotations.
from __future__ import annotations
import argparse
import inspect
import multiprocessing as mp
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_type_hints
import torch
import wandb
import trial, sweep, metrics, search, machine, report, command, space, runs, probe, screen, summary


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
class Config:
    lr: float = 0.5
    units: int = 2
    more: list[int] = field(default_factory=list)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.l = torch.nn.Linear(3, 1)

    def forward(self, x):
        return self.l(x)


def square(x):
    return x * x


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    for name, kind in get_type_hints(Config).items():
        if kind in (float, int):
            p.add_argument(f"--{name}", type=kind)
    a = p.parse_args()
    c = Config(a.lr, a.units)
    assert [m.NAME for m in (trial, metrics, report)] == [
        "user trial",
        "user metrics",
        "user report",
    ]
    assert pickle.loads(pickle.dumps(c)) == c
    with ProcessPoolExecutor(2, mp_context=mp.get_context("spawn")) as ex:
        print(list(ex.map(square, range(3))))
    with mp.get_context("fork").Pool(2) as pool:
        print(pool.map(square, range(3)))
    with mp.Pool(2) as pool:
        print(pool.map(square, range(3)), mp.get_start_method())
    f = Path("out") / f"{a.lr}-{a.units}.pt"
    f.parent.mkdir(exist_ok=True)
    torch.save(Net(), f)
    print(type(torch.load(f, weights_only=False)))
    print(
        len(inspect.getsource(Net)),
        inspect.getsource(square),
        inspect.getfile(Net),
        sys.modules["__main__"].__file__,
        sys.argv[0],
        sys.path[0],
    )
    wandb.init(config=vars(a))
    for loss, acc in fit(c.lr, c.units):
        wandb.log({"acc": acc})
