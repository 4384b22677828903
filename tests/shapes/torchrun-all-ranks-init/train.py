# Special: every rank calls wandb.init with the same run id.
import argparse
import os
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP
import wandb


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=0.5)
    p.add_argument("--units", type=int, default=2)
    a = p.parse_args()
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    if True:
        wandb.init(config=vars(a))
    torch.manual_seed(0)
    net = DDP(
        torch.nn.Sequential(
            torch.nn.Linear(3, a.units), torch.nn.Tanh(), torch.nn.Linear(a.units, 1)
        )
    )
    g = torch.Generator().manual_seed(rank)
    x = torch.randn(64, 3, generator=g)
    y = (x.sum(1, keepdim=True) > 0).float()
    for _ in range(20):
        out = net(x)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(out, y)
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for weight in net.parameters():
                weight -= a.lr * weight.grad
        acc = ((out > 0) == (y > 0)).float().mean()
        dist.all_reduce(acc)
        if rank == 0:
            wandb.log({"acc": acc.item() / 2, "loss": loss.item()})
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
