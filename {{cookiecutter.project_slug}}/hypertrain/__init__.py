"""Hyperparameter sweeps over your own training program. You need not edit anything in here.

`python -m hypertrain` runs `config/wandb-sweep.yaml` on this machine:

    __main__     the command line
    tuner        the loop: which trial next, on which worker, until when
    sweep        reads and checks the sweep file
    space        the search space, as the sweep file gives it
    quantiles    its continuous distributions
    search       which point to try next (grid, random, bayes)
    hyperband    which running trial to stop early
    command      the command line of a trial
    trial        one trial in a process of its own
    warm         trials that start at once, forked from a warm process
    preload      what runs in that process before there are trials
    imports      what a program imports
    compiler     PyTorch's compiler, put off until a program asks for it
    metrics      what a trial logs, seen from outside
    journal      results on disk: nothing is lost, nothing is run twice
    screen       what you see meanwhile
    summary      what you are told before and after
    leaderboard  the table at the end
    report       the same as an HTML file, with pictures
    machine      GPUs and cores to share between the workers
    runs         the W&B runs of the trials

Apart from that sweep, and only when asked: `check` (with `check_program`, `check_platform` and
`probe`) looks at everything before the platform is paid for; `wandb_sweep` (with `wandb_worker` and
`wandb_server`) is what the platform's jobs call.
"""


class UserError(Exception):
    """A problem the user can solve: one line that names the file, the key and the remedy."""
