# Special: accelerate launch starts the program.
import argparse

import torch
from accelerate import Accelerator


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.5)
    parser.add_argument("--units", type=int, default=2)
    args = parser.parse_args()
    accelerator = Accelerator(log_with="wandb", cpu=True)
    accelerator.init_trackers("any", config=vars(args))
    weight = torch.zeros(1, requires_grad=True)
    optimizer = accelerator.prepare(torch.optim.SGD([weight], lr=args.lr))
    for step in range(5):
        loss = ((weight - 1) ** 2).sum()
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step()
        accelerator.log({"acc": -loss.item()}, step=step)
    accelerator.end_training()


if __name__ == "__main__":
    main()
