"""Hyperparameter sweeps over your own training program. You need not edit anything in here.

`python -m hypertrain` runs `config/wandb-sweep.yaml` on this machine. One folder a question:

    sweepfile    what does the sweep file say?
    search       which point comes next, which trial is stopped early?
    trial        how does one trial start, run and end?
    warm         how do trials start in milliseconds? Without it all works the same, slower
    results      what is on disk?
    answers      what did the search really show?
    show         what does a person see?
    check        what can be known before it costs?
    online       how do we talk to W&B's server?

and on top of them `__main__`, the command line, `local`, the sweep of one machine, `confirm`, the best
on fresh seeds, `tuner`, the loop, `crew`, its workers, `machine` and `gpus`, which share out cores and
GPUs.
"""

__version__ = "1.0"
"""Of the template cookiecutter-neuro-project; its CHANGELOG.md tells what is in it."""


class UserError(Exception):
    """What the user can solve: a line for each problem, which names file, key and remedy."""
