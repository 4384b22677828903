import os

# Before anything imports PyTorch: on a busy machine its threads wait for one another.
os.environ["OMP_NUM_THREADS"] = "1"
