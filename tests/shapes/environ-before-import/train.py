# Special: a constant and a computed variable in os.environ decide what a library is at import.
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "77")
os.environ["HF_HOME"] = str(Path(__file__).resolve().parent / "cache")

import argparse

import huggingface_hub.constants as hub
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
print(hub.HF_HOME, hub.HF_HUB_OFFLINE, hub.HF_HUB_ETAG_TIMEOUT)
wandb.init(config=vars(args))
wandb.log({"acc": args.lr * hub.HF_HUB_ETAG_TIMEOUT})
