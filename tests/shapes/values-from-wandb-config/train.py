# Special: gets no options: the values come from wandb.config, which a sweep locks against updates.
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


def main():
    defaults = dict(lr=0.5, units=2, steps=30)
    run = wandb.init(config=defaults)
    c = wandb.config
    c.update({"lr": 99.0, "extra": 1}, allow_val_change=True)  # locked by a sweep
    for loss, acc in fit(c.lr, c["units"], c.steps):
        run.log({"loss": loss, "acc": acc})
    print("used", dict(c))


main()
