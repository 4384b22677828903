# Special: torch.compile with its default backend.
import argparse
import torch
import wandb


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=0.5)
    p.add_argument("--units", type=int, default=2)
    a = p.parse_args()
    wandb.init(config=vars(a))
    torch.manual_seed(0)
    x = torch.randn(64, 3)
    y = (x.sum(1, keepdim=True) > 0).float()
    net = torch.nn.Sequential(
        torch.nn.Linear(3, a.units), torch.nn.Tanh(), torch.nn.Linear(a.units, 1)
    )
    opt = torch.optim.SGD(net.parameters(), lr=a.lr)
    fast = torch.compile(net)
    for _ in range(10):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(fast(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        wandb.log({"loss": loss.item(), "acc": ((net(x) > 0) == (y > 0)).float().mean().item()})
    print("compiled graphs", torch._dynamo.utils.counters["stats"])


if __name__ == "__main__":
    main()
