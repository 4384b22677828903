# Special: tyro fills a dataclass.
from dataclasses import asdict, dataclass
import numpy
import tyro
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


@dataclass
class Args:
    lr: float = 0.5
    units: int = 2


args = tyro.cli(Args)
wandb.init(config=asdict(args))
for loss, acc in fit(args.lr, args.units):
    wandb.log({"loss": loss, "acc": acc})
