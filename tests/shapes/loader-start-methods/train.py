# Special: DataLoader workers under fork, spawn and forkserver, environment set by the program.
import argparse
import os
import torch
import torch.multiprocessing as mp
import wandb
from torch.utils.data import DataLoader, Dataset


class Rows(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, i):
        if i == 0:
            print(
                "WORKER env",
                os.environ.get("MY_FLAG"),
                os.environ.get("WANDB_RUN_ID"),
                "pgid",
                os.getpgrp(),
                "cwd",
                os.getcwd(),
                flush=True,
            )
        g = torch.Generator().manual_seed(i)
        x = torch.randn(3, generator=g)
        return x, (x.sum() > 0).float().unsqueeze(0)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=0.5)
    p.add_argument("--method", default="fork")
    a = p.parse_args()
    mp.set_start_method(a.method)
    os.environ["MY_FLAG"] = "set-by-program"
    wandb.init(config=vars(a))
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 1)
    for x, y in DataLoader(Rows(), 16, num_workers=2):
        out = net(x)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(out, y)
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for weight in net.parameters():
                weight -= a.lr * weight.grad
        wandb.log({"acc": ((out > 0) == (y > 0)).float().mean().item(), "loss": loss.item()})
    print("main pgid", os.getpgrp())


if __name__ == "__main__":
    main()
