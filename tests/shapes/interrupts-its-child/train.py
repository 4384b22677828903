# Special: stops a child by SIGINT and counts on its KeyboardInterrupt.
import argparse
import signal
import subprocess
import sys

import wandb

CHILD = """
import sys, time
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(5)
"""
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
wandb.init(config=vars(args))
child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE)
child.stdout.readline()
child.send_signal(signal.SIGINT)
wandb.log({"acc": args.lr * child.wait(30)})
