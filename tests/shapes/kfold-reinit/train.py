# Special: one run for each fold with reinit=True, then a run with the mean.
import argparse
import torch
import wandb


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


p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.5)
p.add_argument("--units", type=int, default=2)
a = p.parse_args()
accs = []
for fold in range(3):
    run = wandb.init(
        config=vars(a), group="cv", job_type=f"fold-{fold}", name=f"fold-{fold}", reinit=True
    )
    for loss, acc in fit(a.lr, a.units, seed=fold):
        wandb.log({"acc": acc})
    accs.append(acc)
    run.finish()
run = wandb.init(config=vars(a), job_type="summary", reinit=True)
wandb.log({"mean_acc": sum(accs) / 3})
