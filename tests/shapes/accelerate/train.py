# Special: Accelerator(log_with="wandb"); the program never imports wandb itself.
import argparse
import torch
from accelerate import Accelerator


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=0.5)
    p.add_argument("--units", type=int, default=2)
    a = p.parse_args()
    acc = Accelerator(log_with="wandb", cpu=True)
    acc.init_trackers("acc-project", config=vars(a), init_kwargs={"wandb": {"tags": ["x"]}})
    torch.manual_seed(0)
    x = torch.randn(64, 3)
    y = (x.sum(1, keepdim=True) > 0).float()
    net = torch.nn.Sequential(
        torch.nn.Linear(3, a.units), torch.nn.Tanh(), torch.nn.Linear(a.units, 1)
    )
    opt = torch.optim.SGD(net.parameters(), lr=a.lr)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 16)
    net, opt, loader = acc.prepare(net, opt, loader)
    for step, (xb, yb) in enumerate(loader):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(xb), yb)
        opt.zero_grad()
        acc.backward(loss)
        opt.step()
        acc.log(
            {"loss": loss.item(), "acc": ((net(xb) > 0) == (yb > 0)).float().mean().item()},
            step=step,
        )
    acc.end_training()


if __name__ == "__main__":
    main()
