# Special: sleeps beside a child process: for stopping and killing only, never run to its end.
import subprocess, sys, time
import wandb

wandb.init()
wandb.log({"acc": 1})
p = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(200)", "LEFTOVER"])
time.sleep(200)
