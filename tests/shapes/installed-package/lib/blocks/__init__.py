import os

# What a module of the project knows from its import on belongs to one trial.
RUN = os.environ.get("WANDB_RUN_ID")
