# Special: joblib process pool inside a trial.
import argparse
import os
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.svm import SVC
import wandb


def fold(seed, C, gamma):
    x, y = load_digits(return_X_y=True)
    return cross_val_score(SVC(C=C, gamma=gamma), x[:300], y[:300], cv=3).mean(), os.getpid()


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--C", type=float)
    p.add_argument("--gamma", type=float)
    a = p.parse_args()
    wandb.init(config=vars(a))
    r = Parallel(n_jobs=2)(delayed(fold)(s, a.C, a.gamma) for s in range(4))
    print("pids", len({p for _, p in r}))
    wandb.log({"acc": sum(v for v, _ in r) / 4})
