# Special: torch.multiprocessing.spawn; wandb.init and wandb.log only in the child of rank 0.
import argparse
import os
import socket
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel as DDP
import wandb


def worker(rank, a, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=2)
    if rank == 0:
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
    if rank == 0:
        wandb.finish()
    dist.destroy_process_group()


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=0.5)
    p.add_argument("--units", type=int, default=2)
    a = p.parse_args()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    mp.spawn(worker, args=(a, port), nprocs=2)
