"""Ray Tune with `reuse_actors=True`: trials share two processes, as with joblib."""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"

import ray
from ray import tune
from training import train


class Training(tune.Trainable):
    def step(self) -> dict[str, Any]:
        return {"accuracy": train(self.config["arguments"]), "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.config = new_config
        return True


def main() -> None:
    points = json.loads(Path(sys.argv[1]).read_text())
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as storage:
        tuner = tune.Tuner(
            Training,
            param_space={"arguments": tune.grid_search(points)},
            tune_config=tune.TuneConfig(
                metric="accuracy", mode="max", reuse_actors=True, max_concurrent_trials=2
            ),
            run_config=tune.RunConfig(
                storage_path=storage,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        results = tuner.fit()
    processes = {result.metrics["pid"] for result in results}
    if results.errors or len(processes) > 2:
        sys.exit(f"actors were not reused: {len(processes)} processes, {results.errors}")
    print(results.get_best_result().metrics["accuracy"])


if __name__ == "__main__":
    main()
