"""The physical limit: the same trainings back to back in two processes that are warm already."""

import json
import multiprocessing
import shutil
import sys
import time
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from training import train


def work(todo: "SimpleQueue[Any]", done: "SimpleQueue[Any]") -> None:
    train(["--epochs=1"])
    done.put("warm")
    for point in iter(todo.get, None):
        wall, cpu = time.perf_counter(), time.process_time()
        train(point)
        done.put((time.perf_counter() - wall, time.process_time() - cpu))


def main() -> None:
    points = json.loads(Path(sys.argv[1]).read_text())
    context = multiprocessing.get_context("spawn")
    todo, done = context.SimpleQueue(), context.SimpleQueue()
    workers = [context.Process(target=work, args=(todo, done)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for _ in workers:
        done.get()
    shutil.rmtree(Path("results"))

    before = time.perf_counter()
    for point in points:
        todo.put(point)
    trials = [done.get() for _ in points]
    seconds = time.perf_counter() - before

    for _ in workers:
        todo.put(None)
    for worker in workers:
        worker.join()
    training = sum(wall for wall, _ in trials) / len(trials)
    print(json.dumps({"seconds": seconds, "training": training, "cpu": sum(c for _, c in trials)}))


if __name__ == "__main__":
    main()
