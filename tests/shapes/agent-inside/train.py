# Special: the program itself creates a sweep and runs wandb.agent: offline it fails by hand and must fail the same here.
import random
import wandb


def train():
    with wandb.init() as run:
        run.log({"acc": random.random() * run.config.lr})


config = {
    "method": "random",
    "metric": {"name": "acc", "goal": "maximize"},
    "parameters": {"lr": {"values": [0.1, 0.01]}},
}
sweep_id = wandb.sweep(config, project="mine")
wandb.agent(sweep_id, function=train, count=2)
