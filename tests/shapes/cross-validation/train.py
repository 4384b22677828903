# Special: folds in processes, each with a run of its own beside the sweep's; only its mean counts.
import argparse
import multiprocessing
import os

import wandb


def fold(number, lr, scores):
    for name in ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):
        os.environ.pop(name, None)
    with wandb.init(group="folds", name=f"fold-{number}", config={"lr": lr}) as run:
        run.log({"acc": 10 * lr + number})
    scores.put(10 * lr + number)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.5)
    parser.add_argument("--units", type=int, default=2)
    args = parser.parse_args()
    scores = multiprocessing.get_context("spawn").Queue()
    run = wandb.init(config=vars(args))
    got = []
    for number in range(2):
        process = multiprocessing.get_context("spawn").Process(
            target=fold, args=(number, args.lr, scores)
        )
        process.start()
        got.append(scores.get())
        process.join()
    run.log({"acc": sum(got) / len(got)})
