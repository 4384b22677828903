# Special: own module in src/ has the name of an installed library that torch imports.
import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
import wandb
import networkx

p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.5)
p.add_argument("--units", type=int, default=2)
a = p.parse_args()
print(networkx.__file__)
wandb.init(config=vars(a))
for loss, acc in networkx.fit(a.lr, a.units):
    wandb.log({"acc": acc})
