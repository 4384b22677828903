# Special: a thread goes on logging after the last line of the program.
import argparse
import threading
import time
from pathlib import Path

import wandb

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--units", type=int, default=2)
args = parser.parse_args()
run = wandb.init(config=vars(args))


def work():
    threading.main_thread().join()
    for step in range(5):
        time.sleep(0.1)
        run.log({"acc": args.lr * step})
    Path(f"{args.lr}.txt").write_text("the thread has ended\n")
    print("the thread has ended")


threading.Thread(target=work).start()
