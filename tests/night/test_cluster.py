"""A night that is shared out among processes ends as one that a single process does, whatever becomes of them."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager

import psutil
import pytest
from astropy.io import fits
from click.testing import CliRunner
from distributed import Client, LocalCluster, WorkerPlugin

from astro_calib import reduce_night
from astro_calib.cli import main
from astro_calib.kernels.threads import number_of_threads
from astro_calib.night.common.lock import LOCK
from astro_calib.night.tasks import cluster, worker
from astro_calib.night.tasks.journal import Journal, read_journal
from astro_calib.night.tasks.resume import Resumption
from tests.night.synthetic import two_filters
from tests.night.test_resume import assert_same, states

QUICK = {"progress": False, "pictures": False, "stars": False}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return two_filters(tmp_path_factory.mktemp("night") / "raw")


@pytest.fixture(scope="module")
def serial(raw, tmp_path_factory):
    return reduce_night(raw, tmp_path_factory.mktemp("serial") / "out", **QUICK)


@pytest.fixture(scope="module")
def client():
    """A client of a cluster within this process."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as within,
        Client(within, set_as_default=False) as one,
    ):
        yield one


@contextmanager
def processes(number):
    """A client of some processes."""
    with (
        LocalCluster(
            n_workers=number,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as several,
        Client(several, set_as_default=False) as one,
    ):
        yield one


def children(process):
    """The processes that one has started, and those that these have."""
    return psutil.Process(process).children(recursive=True)


def told_by(summary):
    """What a summary tells of the night, with the same place for its results."""
    told = json.loads(json.dumps(summary.to_dict()).replace(str(summary.out), "OUT"))
    return {key: value for key, value in told.items() if key not in ("made", "seconds")}


def ended(there):
    """Whether processes end soon."""
    gone, alive = psutil.wait_procs(there, timeout=30)
    # A zombie has ended, and waits for init to notice.
    return len(gone) + sum(one.status() == psutil.STATUS_ZOMBIE for one in alive) == len(there)


def test_a_night_on_a_cluster_gives_what_one_process_gives(raw, serial, tmp_path, client, monkeypatch):
    names, original = [], Journal.done
    monkeypatch.setattr(Journal, "done", lambda self, *done: (names.append(done[1].name), original(self, *done)))
    summary = reduce_night(raw, tmp_path / "out", client=client, **QUICK)
    assert_same(serial.out, summary.out)
    assert told_by(summary) == told_by(serial)
    # The journal has each task, in the order in which they came.
    assert set(names) == set(read_journal(summary.out).records)
    assert not (summary.out / LOCK).exists()
    # What the workers had is taken back.
    assert not client.run(lambda dask_worker: [name for name in dask_worker.plugins if "astro" in name]).popitem()[1]
    assert number_of_threads() == len(os.sched_getaffinity(0))


def test_what_one_process_has_left_a_cluster_goes_on_with_and_the_other_way_round(raw, serial, tmp_path, client):
    first = reduce_night(raw, tmp_path / "out", client=client, **QUICK)
    for name in ("summary.txt", "calibrated/science-002-V.fits"):
        (first.out / name).unlink()
    before = states(first.out)
    again = reduce_night(raw, first.out, **QUICK)
    assert again.complete == (4, 3)
    (first.out / "summary.txt").unlink()
    (first.out / "calibrated/science-003-R.fits").unlink()
    again = reduce_night(raw, first.out, client=client, **QUICK)
    assert again.complete == (4, 3)
    changed = {path.name for path, state in states(first.out).items() if before.get(path) != state}
    assert changed == {"science-002-V.fits", "science-003-R.fits"}
    for file in changed:
        with fits.open(serial.out / "calibrated" / file) as one, fits.open(again.out / "calibrated" / file) as other:
            parts = ("PRIMARY", "UNCERT", "FLAGS")
            assert all(one[part].data.tobytes() == other[part].data.tobytes() for part in parts)


def test_paths_that_are_not_absolute_are_those_of_whoever_calls(raw, serial, tmp_path, client, monkeypatch):
    (tmp_path / "raw").symlink_to(raw)
    monkeypatch.chdir(tmp_path)
    summary = reduce_night("raw", "out", client=client, **QUICK)
    monkeypatch.chdir("/")
    assert {file.name for file in (tmp_path / "out" / "calibrated").iterdir()} == {
        frame.path.name for frame in serial.frames
    }
    assert str(summary.frames[0].path) == "out/calibrated/science-001-V.fits"


def test_a_frame_that_cannot_be_reduced_is_told_as_in_one_process(raw, tmp_path, client):
    directory = tmp_path / "raw"
    directory.mkdir()
    for path in raw.iterdir():
        content = path.read_bytes()
        # Its end is missing.
        (directory / path.name).write_bytes(content[:5000] if path.name == "science-002-V.fits" else content)
    one = reduce_night(directory, tmp_path / "one", **QUICK)
    other = reduce_night(directory, tmp_path / "other", client=client, **QUICK)
    assert one.lost
    assert (other.lost, other.remarks) == (one.lost, one.remarks)


def test_warnings_in_workers_are_warnings_here(raw, tmp_path, client, monkeypatch):
    def doing(*arguments):
        warnings.warn("strange numbers", RuntimeWarning, stacklevel=1)
        return original(*arguments)

    original = worker.do
    monkeypatch.setattr(worker, "do", doing)
    with pytest.warns(RuntimeWarning, match="strange numbers"):
        reduce_night(raw, tmp_path / "out", client=client, **QUICK)


def test_a_worker_that_does_not_see_the_results_is_named(raw, tmp_path, client, monkeypatch):
    monkeypatch.setattr(worker, "holder", lambda _: "process 1 on elsewhere")
    with pytest.raises(OSError, match=r"worker .*: the folder of the results, .*out, is not there, or is another one"):
        reduce_night(raw, tmp_path / "out", client=client, **QUICK)
    assert not (tmp_path / "out" / LOCK).exists()


def test_a_worker_that_does_not_see_the_raw_files_is_named(tmp_path):
    seen = tmp_path / "raw" / "bias-001.fits"
    told = worker.what_is_wrong(worker.Needed(str(tmp_path), tmp_path, "", [seen], worker.versions()))
    assert told == f"{seen} is not there, or cannot be read"


def test_a_worker_of_another_version_is_named(tmp_path):
    there = worker.versions() | {"numpy": "1.0"}
    told = worker.what_is_wrong(worker.Needed(str(tmp_path), tmp_path, "", [], there))
    assert told == f"numpy is {worker.versions()['numpy']} there, and 1.0 here"


def test_without_workers_a_night_ends_in_the_end(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as empty,
        Client(empty, set_as_default=False) as one,
        pytest.raises(OSError, match=r"the cluster has had no worker for 0\.2 s; start some"),
    ):
        reduce_night(raw, tmp_path / "out", client=one, **QUICK)


def test_an_error_in_a_worker_ends_the_night_and_what_is_complete_stays(raw, tmp_path, client, monkeypatch):
    def failing(task, *arguments):
        if task.name == "flat-R":
            msg = "the disk is full"
            raise OSError(28, msg)
        return original(task, *arguments)

    original = worker.do
    monkeypatch.setattr(worker, "do", failing)
    with pytest.raises(OSError, match="the disk is full"):
        reduce_night(raw, tmp_path / "out", client=client, **QUICK)
    monkeypatch.undo()
    assert reduce_night(raw, tmp_path / "out", **QUICK).complete[0] >= 2


def test_a_worker_writes_nothing_once_the_folder_is_let_go(tmp_path):
    from astro_calib.night.common.output import Output

    with Output(tmp_path / "out", []) as output:
        there = output.elsewhere()
        there.write("tables", "one", lambda path: path.write_text("of this run"))
    with pytest.raises(OSError, match=r"is not held by process .* any more; nothing more of it is written"):
        there.write("tables", "two", lambda path: path.write_text("too late"))
    with Output(tmp_path / "out", [], overwrite=True), pytest.raises(OSError, match="is not held"):
        there.write("tables", "two", lambda path: path.write_text("too late"))


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_a_number_of_workers_that_is_none_is_refused(raw, tmp_path, workers):
    with pytest.raises(ValueError, match="it must be a positive whole number"):
        reduce_night(raw, tmp_path / "out", workers=workers, **QUICK)
    assert not (tmp_path / "out").exists()


def test_workers_and_a_client_contradict_each_other(raw, tmp_path, client):
    with pytest.raises(ValueError, match="workers and client contradict each other"):
        reduce_night(raw, tmp_path / "out", workers=2, client=client, **QUICK)


def test_without_dask_it_is_said_what_to_install(raw, tmp_path, monkeypatch):
    monkeypatch.setattr("astro_calib.night.tasks.crew.find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r'pip install "astro-calib\[distributed\]"'):
        reduce_night(raw, tmp_path / "out", workers=2, **QUICK)
    assert not (tmp_path / "out").exists()


class Deadly(WorkerPlugin):
    """Ends the process of a worker that begins with one frame, each time."""

    def __init__(self, name):
        self.wanted, self.name = name, "deadly"

    def setup(self, worker):  # noqa: ARG002  as distributed calls it
        from astro_calib.night.tasks import make

        original = make.reduce_science

        def reduce_science(frame, *arguments, **options):
            if frame.name == self.wanted:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(frame, *arguments, **options)

        make.reduce_science = reduce_science


@pytest.mark.long
def test_two_processes_give_the_same_and_a_worker_that_is_killed_changes_nothing(raw, serial, tmp_path, monkeypatch):
    done, killed = Resumption.noted, []

    def noted(self, outcomes, journal):
        for task, outcome in done(self, outcomes, journal):
            if task.kind == "dark" and not killed:
                (there,) = [one for one in children(os.getpid()) if "spawn_main" in " ".join(one.cmdline())][:1]
                os.kill(there.pid, signal.SIGKILL)
                killed.append(there.pid)
            yield task, outcome

    assert_same(serial.out, reduce_night(raw, tmp_path / "out", workers=2, **QUICK).out)
    monkeypatch.setattr(Resumption, "noted", noted)
    summary = reduce_night(raw, tmp_path / "disturbed", workers=2, **QUICK)
    assert killed
    assert_same(serial.out, summary.out)
    assert not list(summary.out.rglob(".*"))


@pytest.mark.long
def test_a_frame_that_costs_workers_is_lost_and_no_other(raw, serial, tmp_path):
    with processes(2) as several:
        several.register_plugin(Deadly("science-002-V"))
        several.cluster.scheduler.allowed_failures = 0
        summary = reduce_night(raw, tmp_path / "out", client=several, **QUICK)
    assert [(file.path.name, file.kind, file.lost) for file in summary.failures] == [
        ("science-002-V.fits", "science", True)
    ]
    assert "was killed, as happens where there is not enough memory" in summary.failures[0].reason
    left = [frame.path.name for frame in serial.frames if frame.path.name != "science-002-V.fits"]
    assert [frame.path.name for frame in summary.frames] == left


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_no_worker_is_left_behind(raw, serial, tmp_path, how):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "astro_calib", "reduce", str(raw), "-o", str(out), "--workers", "2", "--quiet"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not read_journal(out).records and process.poll() is None:
        time.sleep(0.02)
    there = children(process.pid)
    assert len(there) >= 2
    # A terminal sends Ctrl-C to all of them.
    os.kill(process.pid, how) if how == signal.SIGKILL else os.killpg(process.pid, how)
    _, said = process.communicate()
    assert process.returncode == (130 if how == signal.SIGINT else -how), said
    assert ended(there)
    assert "Traceback" not in said
    assert not (out / "summary.txt").exists()
    assert reduce_night(raw, out, progress=False).complete[0] >= 1
    assert {path.name for path in (serial.out / "calibrated").iterdir()} == {
        path.name for path in (out / "calibrated").iterdir()
    }


def test_a_task_that_nothing_else_can_be_done_beside_has_the_threads_of_all_workers(raw, tmp_path, client, monkeypatch):
    seen = {}

    def doing(task, *arguments):
        seen[task.name] = number_of_threads()
        return original(task, *arguments)

    original = worker.do
    monkeypatch.setattr(worker, "do", doing)
    monkeypatch.setattr(cluster._Crew, "threads", lambda _: 2)
    monkeypatch.setattr("astro_calib.kernels.threads._processors", lambda: 8)
    reduce_night(raw, tmp_path / "out", client=client, **QUICK)
    # The darks wait for the bias, the flats for the darks; all else is done beside others.
    assert {name for name, threads in seen.items() if threads == 2} == {"bias", "dark-120s"}
    assert {threads for name, threads in seen.items() if name.startswith(("flat", "science-001"))} == {1}


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (["--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], 2, "contradict each other"),
        (["--workers", "0"], 2, "not in the range"),
        (["--scheduler", "tcp://127.0.0.1:1"], 1, "no scheduler of dask.distributed answers at tcp://127.0.0.1:1"),
        (["--scheduler", "nowhere"], 1, "no scheduler of dask.distributed answers at nowhere"),
    ],
    ids=["both", "none", "nobody there", "no address"],
)
def test_the_command_says_what_is_wrong_with_workers(raw, tmp_path, monkeypatch, options, status, told):
    monkeypatch.setattr("astro_calib.night.tasks.crew.ANSWER", 0.5)
    done = CliRunner().invoke(main, ["reduce", str(raw), "-o", str(tmp_path / "out"), *options])
    assert done.exit_code == status
    assert told in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_to_install(raw, tmp_path, monkeypatch):
    monkeypatch.setattr("astro_calib.night.tasks.crew.find_spec", lambda _: None)
    done = CliRunner().invoke(main, ["reduce", str(raw), "-o", str(tmp_path / "out"), "--workers", "2"])
    assert done.exit_code == 1
    assert 'pip install "astro-calib[distributed]"' in done.output
