import os
import random

# Read when imported: belongs to one trial.
RUN = os.environ.get("WANDB_RUN_ID")
random.seed(7)


def measure(lr):
    return lr * random.random()
