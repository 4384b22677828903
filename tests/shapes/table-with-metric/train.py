# Special: logs a wandb.Table together with the metric.
import argparse
import wandb

p = argparse.ArgumentParser()
p.add_argument("--lr", type=float)
a = p.parse_args()
run = wandb.init(config=vars(a))
run.log({"acc": a.lr, "predictions": wandb.Table(columns=["guess"], data=[[1]])})
