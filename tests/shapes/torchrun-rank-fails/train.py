# Special: one rank of torchrun raises; its exception is the reason, not torchrun's report.
import argparse
import os

import torch.distributed as dist
import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
dist.init_process_group("gloo")
if os.environ["RANK"] == "0":
    run = wandb.init(config=vars(args))
    run.log({"acc": args.lr})
    raise ArithmeticError(f"the loss is not a number at {args.lr}")
dist.barrier()
