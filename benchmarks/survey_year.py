"""
What a survey's year costs: 100 cameras, 1000 frames of 4096 x 4096 a night each.

A simulation of the graph of tasks, one a master or a frame, event by event: workers, a store that all share, and a
scheduler that looks after one task at a time. The costs of a task are measured ones (``docs/developers/scale.rst`` says
how); give your own:

    python benchmarks/survey_year.py
    python benchmarks/survey_year.py --tasks 100000 --workers 64 256 --store 5
    python benchmarks/survey_year.py --scheduler      # measures dask's scheduler with empty tasks
"""

from __future__ import annotations

import argparse
import heapq
import time
from collections import deque
from dataclasses import dataclass

__all__ = ["Costs", "Run", "simulated"]

FRAMES = 1000
#: Frames that a master is made of, and masters of a night: a bias, a dark, five flats. The first two come before the
#: flats, and those before the science frames.
IN_MASTER, MASTERS = 20, 7
GB = 1e9


@dataclass(frozen=True, kw_only=True)
class Costs:
    """
    What a task costs, in bytes a pixel and seconds of one core a pixel.

    ``scheduler`` is how long the scheduler is busy with a task, in seconds; ``link`` and ``store`` are bytes a second,
    of one worker and of the store that all share.
    """

    pixels: int = 4096 * 4096
    read: float = 2.0
    written: float = 11.0
    science: float = 490e-9
    #: Of each frame of a master.
    master: float = 120e-9
    scheduler: float = 820e-6
    link: float = 1.0 * GB
    store: float = 10.0 * GB


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a simulation gives: seconds until all is done, and how much of it each part was busy."""

    seconds: float
    tasks: int
    workers: float
    store: float
    scheduler: float
    #: Most tasks that the scheduler knew at a time.
    known: int


def simulated(costs: Costs, workers: int, tasks: int, window: int | None = None) -> Run:
    """
    Let so many workers do so many tasks: nights of one camera, all handed in at the beginning.

    With ``window``, at most so many tasks are known to the scheduler at a time; the others wait where they come from.
    """
    per_night = FRAMES + MASTERS
    nights = -(-tasks // per_night)
    waiting = deque(range(nights))
    ready: deque[tuple[int, str]] = deque()
    left: dict[int, int] = {}
    idle, now = workers, 0.0
    free = {"scheduler": 0.0, "store": 0.0}
    busy = {"scheduler": 0.0, "store": 0.0, "workers": 0.0}
    events: list[tuple[float, int, str, int, str, float]] = []
    number = done = known = most = 0

    def served(by: str, at: float, seconds: float) -> float:
        """When a part that serves one after the other is ready."""
        free[by] = max(free[by], at) + seconds
        busy[by] += seconds
        return free[by]

    def moved(at: float, content: float) -> float:
        """When so many bytes have gone between a worker and the store."""
        return max(served("store", at, content / costs.store), at + content / costs.link)

    def push(at: float, what: str, night: int, kind: str, begun: float) -> None:
        nonlocal number
        number += 1
        heapq.heappush(events, (at, number, what, night, kind, begun))

    def hand_in() -> None:
        nonlocal known, most
        while waiting and (window is None or known + per_night <= max(window, per_night)):
            night = waiting.popleft()
            left[night] = MASTERS
            ready.extend((night, "early") for _ in range(2))
            known += per_night
        most = max(most, known)

    sizes = {
        "early": (IN_MASTER * costs.read, costs.written, IN_MASTER * costs.master),
        "flat": (IN_MASTER * costs.read, costs.written, IN_MASTER * costs.master),
        "science": (costs.read, costs.written, costs.science),
    }
    hand_in()
    while ready or events:
        while ready and idle:
            night, kind = ready.popleft()
            idle -= 1
            begun = served("scheduler", now, costs.scheduler)
            push(moved(begun, sizes[kind][0] * costs.pixels), "read", night, kind, begun)
        now, _, what, night, kind, begun = heapq.heappop(events)
        if what == "read":
            push(now + sizes[kind][2] * costs.pixels, "made", night, kind, begun)
        elif what == "made":
            push(moved(now, sizes[kind][1] * costs.pixels), "written", night, kind, begun)
        else:
            busy["workers"] += now - begun
            idle, done, known = idle + 1, done + 1, known - 1
            if kind != "science":
                left[night] -= 1
                if left[night] == MASTERS - 2:
                    ready.extendleft((night, "flat") for _ in range(MASTERS - 2))
                elif left[night] == 0:
                    ready.extend((night, "science") for _ in range(FRAMES))
            hand_in()
    return Run(
        seconds=now,
        tasks=done,
        workers=busy["workers"] / (now * workers),
        store=busy["store"] / now,
        scheduler=busy["scheduler"] / now,
        known=most,
    )


def measure_scheduler(numbers: list[int]) -> None:
    """Print how long dask's scheduler takes for a task that does nothing, and how much memory it needs for it."""
    import psutil
    from distributed import Client, LocalCluster, wait

    cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None)
    client = Client(cluster)
    here = psutil.Process()
    print(f"{'tasks':>8}{'seconds':>10}{'us a task':>12}{'kB a task':>12}")
    for number in numbers:
        cpu, memory, begun = sum(here.cpu_times()[:2]), here.memory_info().rss, time.perf_counter()
        # The scheduler lives in this process, beside the client.
        futures = client.map(int, range(number), pure=False)
        wait(futures)
        seconds, cpu = time.perf_counter() - begun, sum(here.cpu_times()[:2]) - cpu
        kilobytes = (here.memory_info().rss - memory) / 1e3
        print(f"{number:8}{seconds:10.1f}{1e6 * cpu / number:12.0f}{kilobytes / number:12.1f}", flush=True)
        del futures
        time.sleep(2)
    client.close()
    cluster.close()


def main() -> None:
    """Print a table of simulated runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[64, 256, 1024, 4096])
    parser.add_argument("--store", type=float, nargs="+", default=[2.0, 10.0, 50.0], help="GB/s")
    parser.add_argument("--science", type=float, default=Costs.science, help="seconds a pixel")
    parser.add_argument("--per-task", type=float, default=Costs.scheduler, help="seconds of the scheduler")
    parser.add_argument("--window", type=int, help="most tasks that the scheduler knows at a time")
    parser.add_argument("--scheduler", action="store_true", help="measure dask's scheduler instead")
    options = parser.parse_args()
    if options.scheduler:
        measure_scheduler([1_000, 10_000, 30_000, 100_000])
        return
    print(
        f"{'workers':>8}{'store GB/s':>12}{'hours':>8}{'frames/s':>10}"
        f"{'workers':>9}{'store':>7}{'scheduler':>11}{'known':>10}"
    )
    for workers in options.workers:
        for store in options.store:
            costs = Costs(science=options.science, scheduler=options.per_task, store=store * GB)
            run = simulated(costs, workers, options.tasks, options.window)
            frames = run.tasks * FRAMES / (FRAMES + MASTERS)
            print(
                f"{workers:8}{store:12.0f}{run.seconds / 3600:8.1f}{frames / run.seconds:10.1f}{run.workers:9.0%}"
                f"{run.store:7.0%}{run.scheduler:11.0%}{run.known:10}",
                flush=True,
            )


if __name__ == "__main__":
    main()
