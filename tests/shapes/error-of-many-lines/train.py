# Special: fails with a message of several lines; the reason is its first line.
import argparse
import torch
import wandb

p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.5)
p.add_argument("--units", type=int, default=2)
a = p.parse_args()
wandb.init(config=vars(a))
torch.nn.Linear(2, a.units).load_state_dict({"weight": torch.zeros(2, 3), "b": torch.zeros(1)})
