# Special: an open file is held by a function that stands in a library's place, until the very end.
import argparse
import csv
import os

import wandb


def log_to(path):
    file = open(path, "w", newline="")
    rows, log = csv.writer(file), wandb.log

    def log_twice(data, **options):
        rows.writerow(data.values())
        log(data, **options)

    wandb.log = log_twice


p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.5)
p.add_argument("--units", type=int, default=2)
a = p.parse_args()
os.makedirs("out", exist_ok=True)
wandb.init(config=vars(a))
log_to(f"out/{a.lr}.csv")
for step in range(3):
    wandb.log({"acc": a.lr + step})
