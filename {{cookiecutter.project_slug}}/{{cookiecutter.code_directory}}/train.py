"""Train an image classifier; each option is a hyperparameter that a sweep may set.

Run it in the project's root:

    python {{cookiecutter.code_directory}}/train.py
    python {{cookiecutter.code_directory}}/train.py --lr=0.1 --optimizer=sgd --scheduler=cosine
    python {{cookiecutter.code_directory}}/train.py --dataset=cifar10 --epochs=30 --test

Metrics go to Weights & Biases (into an offline run below wandb/ if you have no account), the model
of the best epoch goes to results/checkpoints/<run id>.pt. A training that was cut off goes on after
its last epoch when it is started again under the same id: WANDB_RUN_ID=mine, for example, and for a
run on W&B's server WANDB_RESUME=allow.
"""

import argparse
import hashlib
import math
import os
import signal
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NoReturn

import torch
import torch.nn.functional as F
import wandb
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler

from data import CLASSES, DATASETS, DataError, Split, load, load_test
from model import ConvNet

PROJECT = "{{cookiecutter.project_slug}}"
DATA = Path("data")
METRIC = "accuracy01/valid"  # a fraction, 0 to 1


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Train an image classifier.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--lr", type=number(float, above=0), default=0.1, help="learning rate at the start")
    add("--optimizer", choices=("sgd", "adam"), default="sgd", help="plain SGD, or Adam")
    add("--scheduler", choices=("const", "cosine"), default="const", help="course of the rate")
    add("--epochs", type=number(int, above=0), default=10, help="passes over the training set")
    add("--batch-size", "--batch_size", type=number(int, above=0), default=64, help="per step")
    add("--seed", type=number(int, above=-1), default=0, help="of weights and order")
    add("--dataset", choices=DATASETS, default="digits", help="cifar10 is fetched once")
    add("--test", action="store_true", help="finally, measure the best epoch on the test set")
    return parser.parse_args()


def number(kind: type[int] | type[float], above: int) -> Callable[[str], float]:
    """An argparse type that also refuses nan, infinity and what PyTorch cannot hold."""

    def parse(text: str) -> float:
        value = kind(text)
        if not above < value < 2**63:
            raise argparse.ArgumentTypeError(f"{text} is not above {above} and below 2^63")
        return value

    parse.__name__ = kind.__name__  # argparse calls it by this name
    return parse


def main() -> None:
    args = parse_args()
    signal.signal(signal.SIGTERM, stop)
    torch.manual_seed(args.seed)
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")

    try:
        train, valid = (part.to(device) for part in load(args.dataset, DATA))
        test = load_test(args.dataset, DATA).to(device) if args.test else None
    except DataError as error:
        fail(str(error))
    model = ConvNet(channels=train.images.shape[1], classes=CLASSES).to(device)
    optimizer = make_optimizer(args.optimizer, model, args.lr)
    steps = args.epochs * math.ceil(len(train.labels) / args.batch_size)
    scheduler = make_scheduler(args.scheduler, optimizer, steps)
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "scheduler": scheduler}

    run = start_run(vars(args))
    checkpoint = Path("results", "checkpoints", f"{run.id}.pt")
    unfinished = checkpoint.with_suffix(".state")
    training = {**vars(args), "code": code()}
    begun, best = 0, -1.0
    if checkpoint.exists() and (state := load_state(unfinished, training)):
        for name, part in parts.items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        begun, best = state["epoch"], state["best"]
        print(f"going on after epoch {begun}")

    for epoch in range(begun + 1, args.epochs + 1):
        lr = scheduler.get_last_lr()[0]
        loss = train_epoch(model, train, optimizer, scheduler, args.batch_size)
        if not math.isfinite(loss):
            fail(f"the loss is {loss} in epoch {epoch}: try a smaller --lr")
        valid_loss, accuracy = evaluate(model, valid)
        if accuracy > best:
            best = accuracy
            save(checkpoint, model=model.state_dict(), epoch=epoch, args=vars(args))
        metrics = {METRIC: accuracy, "loss/train": loss, "loss/valid": valid_loss, "lr": lr}
        run.log(metrics, step=epoch, commit=True)  # an epoch that is repeated is not logged twice
        run.summary[METRIC] = best  # W&B ranks runs by the summary: the best epoch, not the last
        print(
            f"epoch {epoch}/{args.epochs}  lr {lr:.3g}  loss/train {loss:.4f}  "
            f"loss/valid {valid_loss:.4f}  {METRIC} {accuracy:.4f}",
            flush=True,
        )
        states = {name: part.state_dict() for name, part in parts.items()}
        random = torch.get_rng_state()
        save(unfinished, training=training, epoch=epoch, best=best, random=random, **states)
    print(f"best {METRIC} {best:.4f} in {checkpoint}")

    if test:
        model.load_state_dict(torch.load(checkpoint, map_location=device)["model"])
        _, accuracy = evaluate(model, test)
        run.summary["accuracy01/test"] = accuracy
        print(f"accuracy01/test {accuracy:.4f}")
    run.finish()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # nothing is left to be cut off
    if "WANDB_SWEEP_ID" not in os.environ:  # a sweep does it, once it has seen this end
        unfinished.unlink(missing_ok=True)


def make_optimizer(name: str, model: nn.Module, lr: float) -> Optimizer:
    if name == "adam":
        return Adam(model.parameters(), lr=lr)
    return SGD(model.parameters(), lr=lr)


def make_scheduler(name: str, optimizer: Optimizer, steps: int) -> LRScheduler:
    """It is stepped after every batch, so that a schedule means the same for any --epochs."""
    if name == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    return ConstantLR(optimizer, factor=1)


def train_epoch(
    model: nn.Module, data: Split, optimizer: Optimizer, scheduler: LRScheduler, batch_size: int
) -> float:
    """The mean loss over one pass in random order."""
    model.train()
    total = torch.zeros((), device=data.labels.device)
    order = torch.randperm(len(data.labels)).to(data.labels.device)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        loss = F.cross_entropy(predict(model, data.images[batch]), data.labels[batch])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        scheduler.step()
        total += loss.detach() * len(batch)
    return total.item() / len(order)


@torch.no_grad()
def evaluate(model: nn.Module, data: Split) -> tuple[float, float]:
    """Loss and accuracy."""
    model.eval()
    chunks = torch.split(data.images, 1000)  # a bound on memory, not on speed
    scores = torch.cat([predict(model, images) for images in chunks])
    accuracy = (scores.argmax(dim=1) == data.labels).float().mean()
    return F.cross_entropy(scores, data.labels).item(), accuracy.item()


def predict(model: nn.Module, images: Tensor) -> Tensor:
    """In mixed precision where the GPU has bfloat16, which unlike float16 needs no loss scaling."""
    mixed = images.is_cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=mixed):
        scores: Tensor = model(images)
    return scores.float()


def code() -> str:
    """A fingerprint of the program: what other code has begun is not to be continued by this."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def load_state(path: Path, training: dict[str, object]) -> dict[str, Any] | None:
    """What this same training has saved after an epoch, if that is whole."""
    if not path.exists():
        return None
    with suppress(Exception):  # whatever a damaged file makes of the reading
        with zipfile.ZipFile(path) as file:
            whole = file.testzip() is None  # PyTorch writes checksums, but does not compare them
        state: dict[str, Any] = torch.load(path, map_location="cpu")
        if whole and state["training"] == training:
            return state
    print(f"{path} is damaged or of another training: beginning anew")
    return None


def save(path: Path, **state: object) -> None:
    """All of the new file or still the old one, even if the process is killed in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def start_run(config: dict[str, object]) -> wandb.Run:
    """Online with an account, offline without one: no login prompt ever blocks a training."""
    mode: Literal["offline"] | None = None
    asked = os.environ.get("WANDB_MODE")
    if "WANDB_API_KEY" in os.environ:  # perhaps with the newline that `echo KEY > file` adds
        os.environ["WANDB_API_KEY"] = os.environ["WANDB_API_KEY"].strip()
    # A sweep brings its own project.
    project = None if {"WANDB_PROJECT", "WANDB_SWEEP_ID"} & set(os.environ) else PROJECT
    try:
        if asked in (None, "", "online") and not wandb.login(prompt=False, verify=False):
            if asked:
                fail("WANDB_MODE=online needs an account: run `wandb login` or set WANDB_API_KEY")
            mode = "offline"
        return wandb.init(project=project, config=config, mode=mode)
    except wandb.Error as error:
        fail(f"W&B: {error}")


def stop(signum: int, _: FrameType | None) -> None:
    """An ordinary exit: W&B then keeps what was logged, which an immediate death would lose."""
    signal.signal(signum, signal.SIG_IGN)  # a second signal must not interrupt that
    sys.exit(128 + signum)


def fail(message: str) -> NoReturn:
    sys.exit(f"train.py: {message}")


if __name__ == "__main__":
    main()
