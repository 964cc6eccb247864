"""
A night on a cluster: what workers gain, and what becomes of it when one of them is cut off from the network.

``python benchmarks/cluster_nights.py times`` reduces a night of 50 frames of 2048 x 2048, without pictures, in turns:
by one process, by one worker, and by two, whose clusters are up. Printed are seconds, those of two workers over those
of one, and those of the whole command with and without ``--workers 2``.

``python benchmarks/cluster_nights.py cut`` (as root, on Linux) puts a scheduler and ``reduce`` into one network
namespace and two workers into others, takes the cable from one worker for a minute in the middle of the night, and
compares the results with those of one process. Each frame takes ``--seconds`` longer than it needs, so that the night
lasts.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from killed_nights import different

from astro_calib import reduce_night, simulate
from astro_calib.night.tasks.crew import connected, crew
from astro_calib.night.tasks.journal import read_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Network namespaces, and the address of each.
SPACES = {"calib-head": "10.77.0.1", "calib-one": "10.77.0.2", "calib-two": "10.77.0.3"}
HEAD, ONE, TWO = SPACES
ADDRESS = f"tcp://{SPACES[HEAD]}:8786"


def timed(work: Callable[[Path], Any]) -> float:
    """Seconds that something takes that writes into a directory, which is removed."""
    with tempfile.TemporaryDirectory() as directory:
        begun = time.monotonic()
        work(Path(directory) / "out")
        return time.monotonic() - begun


def times(options: argparse.Namespace) -> None:
    """Measure how long a night takes, in turns."""
    with tempfile.TemporaryDirectory() as directory:
        raw = options.raw or Path(directory) / "raw"
        if options.raw is None:
            camera = simulate.camera((2048, 2048), seed=1, filters=["V", "R"])
            simulate.night(raw, seed=1, camera=camera, science=12, biases=8, darks=8, flats=5, stars=200)
        command = [sys.executable, "-m", "astro_calib", "reduce", str(raw), "--no-pictures", "--quiet"]

        def on_cluster(number: int) -> float:
            with crew(number, None) as client:
                return timed(lambda out: reduce_night(raw, out, pictures=False, progress=False, client=client))

        ways: dict[str, Callable[[], float]] = {
            "one process": lambda: timed(lambda out: reduce_night(raw, out, pictures=False, progress=False)),
            "one worker": lambda: on_cluster(1),
            "two workers": lambda: on_cluster(2),
            "reduce": lambda: timed(lambda out: subprocess.run([*command, "-o", str(out)], check=True)),
            "reduce --workers 2": lambda: timed(
                lambda out: subprocess.run([*command, "-o", str(out), "--workers", "2"], check=True)
            ),
        }
        best = dict.fromkeys(ways, float("inf"))
        for _ in range(options.turns):
            for name, way in ways.items():
                best[name] = min(best[name], way())
                print(f"{name}: {best[name]:.1f} s", flush=True)
        print(f"two workers over one: {best['two workers'] / best['one worker']:.2f}")
        print(f"reduce --workers 2 over reduce: {best['reduce --workers 2'] / best['reduce']:.2f}")


def ip(*arguments: str) -> None:
    """Change something in the network."""
    subprocess.run(["ip", *arguments], check=True)  # noqa: S607  wherever the system has it  where it is differs


@contextmanager
def network() -> Iterator[None]:
    """A bridge in the namespace of the scheduler, with a cable to each of the others."""
    with ExitStack() as stack:
        for space in SPACES:
            ip("netns", "add", space)
            stack.callback(ip, "netns", "delete", space)
            ip("-n", space, "link", "set", "lo", "up")
        ip("-n", HEAD, "link", "add", "bridge", "type", "bridge")
        ip("-n", HEAD, "address", "add", f"{SPACES[HEAD]}/24", "dev", "bridge")
        ip("-n", HEAD, "link", "set", "bridge", "up")
        for space in (ONE, TWO):
            ip("-n", HEAD, "link", "add", space, "type", "veth", "peer", "name", "cable", "netns", space)
            ip("-n", HEAD, "link", "set", space, "master", "bridge", "up")
            ip("-n", space, "address", "add", f"{SPACES[space]}/24", "dev", "cable")
            ip("-n", space, "link", "set", "cable", "up")
        yield


@contextmanager
def running(space: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a namespace, which is ended at the end."""
    process = subprocess.Popen(["ip", "netns", "exec", space, sys.executable, *arguments])  # noqa: S607
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def cut(options: argparse.Namespace) -> None:
    """Take the cable from a worker for a minute in the middle of a night."""
    with tempfile.TemporaryDirectory() as directory, network(), ExitStack() as stack:
        place = Path(directory)
        raw, whole, out = place / "raw", place / "whole", place / "out"
        camera = simulate.camera((256, 256), seed=1, filters=["V", "R"])
        simulate.night(raw, seed=1, camera=camera, science=options.science, biases=5, darks=5, flats=5, stars=40)
        reduce_night(raw, whole, pictures=False, progress=False)
        worker = ("-m", "distributed.cli.dask_worker", ADDRESS, "--nthreads", "1", "--local-directory", directory)
        host = ("--host", SPACES[HEAD], "--port", "8786", "--dashboard-address", "127.0.0.1:0")
        stack.enter_context(running(HEAD, "-m", "distributed.cli.dask_scheduler", *host))
        for space in (ONE, TWO):
            stack.enter_context(running(space, *worker))
        night = (__file__, "night", str(raw), str(out), "--seconds", str(options.seconds))
        reduce = stack.enter_context(running(HEAD, *night))
        while not any(name.startswith("science") for name in read_journal(out).records):
            time.sleep(0.2)
            if reduce.poll() is not None:
                sys.exit("the night ended before a frame was done")
        begun = time.monotonic()
        ip("-n", HEAD, "link", "set", TWO, "down")
        before = len(read_journal(out).records)
        time.sleep(options.away)
        during = len(read_journal(out).records)
        ip("-n", HEAD, "link", "set", TWO, "up")
        status = reduce.wait()
        print(f"{before} tasks before the cut, {during - before} in the {options.away:g} s of it", flush=True)
        print(f"the night ended with {status}, {time.monotonic() - begun:.0f} s after the cut", flush=True)
        other = different(whole, out)
        print(f"not as in one process: {len(other)}; left behind: {len(list(out.rglob('.*')))}", flush=True)
        if status or other:
            sys.exit(1)


def night(options: argparse.Namespace) -> None:
    """Reduce a night whose frames take longer than they need; beside a cut."""
    from distributed import WorkerPlugin

    class Slow(WorkerPlugin):  # type: ignore[misc]  # distributed has no types
        """Lets a worker wait with each science frame."""

        name = "slow"

        def __init__(self, seconds: float) -> None:
            self.seconds = seconds

        def setup(self, worker: Any) -> None:  # noqa: ARG002  as distributed calls it
            from astro_calib.night.tasks import make

            original, seconds = make.reduce_science, self.seconds

            def reduce_science(*arguments: Any, **choices: Any) -> Any:
                time.sleep(seconds)
                return original(*arguments, **choices)

            make.reduce_science = reduce_science

    with connected(ADDRESS) as client:
        client.wait_for_workers(2)
        client.register_plugin(Slow(options.seconds))
        reduce_night(options.raw, options.out, pictures=False, progress=False, client=client)


def main() -> None:
    """Measure, or cut a cable."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    several = parser.add_subparsers(required=True)
    one = several.add_parser("times")
    one.add_argument("--raw", type=Path, help="a night; by default one is simulated")
    one.add_argument("--turns", type=int, default=3)
    one.set_defaults(work=times)
    one = several.add_parser("cut")
    one.add_argument("--science", type=int, default=12, help="frames in each of two filters")
    one.add_argument("--seconds", type=float, default=4.0, help="that each frame takes longer")
    one.add_argument("--away", type=float, default=60.0, help="seconds without a network")
    one.set_defaults(work=cut)
    one = several.add_parser("night")
    one.add_argument("raw", type=Path)
    one.add_argument("out", type=Path)
    one.add_argument("--seconds", type=float, required=True)
    one.set_defaults(work=night)
    options = parser.parse_args()
    if options.work is cut and shutil.which("ip") is None:
        sys.exit("ip is missing: install iproute2")
    options.work(options)


if __name__ == "__main__":
    main()
