"""What a command costs: wall time, CPU time and memory of its whole process tree. Linux only.

Orphans of the command come back to this process, which is their subreaper, so nothing of the tree
is missed: neither wandb-core nor the daemons of Ray.
"""

import ctypes
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
INTERVAL = 0.2
"""Seconds between two looks at the tree; a look takes about 1 ms, with memory 10 ms."""
LEFTOVERS = 30.0
"""Seconds for what the command left running to end by itself."""
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Cost:
    """seconds: until the command ended. cpu: user + system of the whole tree.

    foreign: cores that other processes kept busy meanwhile.
    memory: peak of the tree's summed PSS in bytes, if it was watched.
    """

    seconds: float
    cpu: float
    foreign: float
    memory: int | None
    status: int


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    started: int
    cpu: float


@dataclass
class Tree:
    """The descendants of this process without those of `helpers`, as they come and go."""

    helpers: frozenset[int]
    cpu_of: dict[tuple[int, int], float] = field(default_factory=dict)
    helper_cpu_of: dict[tuple[int, int], float] = field(default_factory=dict)

    def look(self) -> list[int]:
        """Note the CPU time of each process; return the pids of the tree."""
        found = {process.pid: process for process in processes()}
        members, helpers = [], []
        for process in found.values():
            line = ancestry(process, found)
            if self.helpers & line:
                helpers.append(process)
            elif os.getpid() in line and process.pid != os.getpid():
                members.append(process)
        self.cpu_of |= {(p.pid, p.started): p.cpu for p in members}
        self.helper_cpu_of |= {(p.pid, p.started): p.cpu for p in helpers}
        return [process.pid for process in members]


def measure(
    words: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    output: Path,
    helpers: Iterable[int] = (),
    memory: bool = False,
    limit: float = 1800.0,
) -> Cost:
    """Run the command; `helpers` are children of this process that belong to no one's costs."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("this kernel has no subreapers")
    tree, peak = Tree(frozenset(helpers)), 0
    tree.look()
    helped = sum(tree.helper_cpu_of.values())
    busy, reaped, own = machine_cpu(), cpu(resource.RUSAGE_CHILDREN), cpu(resource.RUSAGE_SELF)
    before = time.perf_counter()
    with output.open("wb") as log:
        process = subprocess.Popen(
            words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    ended = os.pidfd_open(process.pid)
    while not select.select([ended], [], [], INTERVAL)[0]:
        members = tree.look()
        peak = max(peak, pss(members)) if memory else 0
        reap(members, {process.pid})
        if time.perf_counter() - before > limit:
            process.kill()
    seconds = time.perf_counter() - before
    os.close(ended)
    process.wait()
    end_leftovers(tree)
    elapsed = time.perf_counter() - before
    # Sampling misses the last moments of a process; the kernel's sum misses what nobody waited for.
    spent = max(cpu(resource.RUSAGE_CHILDREN) - reaped, sum(tree.cpu_of.values()))
    helped = sum(tree.helper_cpu_of.values()) - helped
    foreign = machine_cpu() - busy - spent - helped - (cpu(resource.RUSAGE_SELF) - own)
    return Cost(
        seconds, spent, max(0.0, foreign) / elapsed, peak if memory else None, process.returncode
    )


def end_leftovers(tree: Tree) -> None:
    """Until nothing of the tree is left: it may not disturb what is measured next."""
    until = time.monotonic() + LEFTOVERS
    while members := tree.look():
        reap(members, set())
        if time.monotonic() > until:
            for pid in members:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def reap(members: Iterable[int], spared: set[int]) -> None:
    for pid in set(members) - spared:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def processes() -> Iterable[Process]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                # The name, in brackets, may hold blanks and brackets of its own.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                spent = (int(fields[11]) + int(fields[12])) * TICK
                yield Process(int(folder.name), int(fields[1]), int(fields[19]), spent)


def ancestry(process: Process, known: Mapping[int, Process]) -> set[int]:
    line = {process.pid}
    while process.parent in known:
        process = known[process.parent]
        line.add(process.pid)
    return line


def pss(pids: Iterable[int]) -> int:
    """Proportional set size: memory shared by several processes is counted once."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def machine_cpu() -> float:
    """CPU seconds of all processes since boot, and what the hypervisor took away."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) * TICK
