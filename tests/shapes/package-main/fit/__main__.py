# Special: python -m package, with a __main__.py and relative imports.
import sys

import wandb

from .options import args

wandb.init(config=vars(args))
print(__name__, __package__, __spec__.name, sys.argv[0])
wandb.log({"acc": args.lr * args.units})
