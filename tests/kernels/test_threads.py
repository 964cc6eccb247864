"""Rows that are shared out among threads: each once, errors told, and nobody waits for ever."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from astro_calib.kernels import sums
from astro_calib.kernels.sums import mean_of_finite
from astro_calib.kernels.threads import SMALLEST, number_of_threads, over_rows


@pytest.mark.parametrize("rows", [0, 1, 7, 100])
@pytest.mark.parametrize("block", [None, 1, 3, 1000])
def test_each_row_is_worked_on_once(rows, block):
    times = np.zeros(rows, dtype=int)

    def work(part):
        times[part] += 1

    over_rows(work, rows, SMALLEST, block)
    np.testing.assert_array_equal(times, 1)


def test_work_can_be_shared_out_in_work_that_is_shared_out():
    times = np.zeros((20, 30), dtype=int)

    def work(rows):
        def work_further(columns):
            times[rows, columns] += 1

        over_rows(work_further, 30, SMALLEST, 1)

    over_rows(work, 20, SMALLEST, 1)
    np.testing.assert_array_equal(times, 1)


@pytest.mark.parametrize("bad", [0, 1, 50, 99])
def test_an_error_is_raised_in_the_thread_that_called_and_ends_the_work(bad):
    begun = []

    def work(part):
        begun.append(part.start)
        if part.start >= bad:
            msg = f"row {part.start}"
            raise OSError(msg)

    with pytest.raises(OSError, match="row "):
        over_rows(work, 100, SMALLEST, 1)
    assert len(begun) <= bad + number_of_threads()


def test_a_call_ends_while_all_other_threads_wait_for_what_its_caller_holds():
    # As when one thread reads a master, and the frames of another need that master.
    held, waiting, ended = threading.Lock(), threading.Semaphore(0), threading.Event()

    def wait(part):
        del part
        waiting.release()
        with held:
            pass

    def call():
        over_rows(lambda part: None, 10, SMALLEST, 1)
        ended.set()

    with held:
        other = threading.Thread(target=over_rows, args=(wait, 100, SMALLEST, 1))
        other.start()
        for _ in range(number_of_threads()):
            assert waiting.acquire(timeout=60)
        caller = threading.Thread(target=call)
        caller.start()
        in_time = ended.wait(timeout=20)
    other.join()
    caller.join()
    assert in_time


def test_a_mean_does_not_depend_on_how_the_rows_are_shared_out(monkeypatch):
    values = np.random.default_rng(3).lognormal(0, 5, (400, 300))
    values[3, 4] = np.nan

    def mean(step):
        def shared_out(work, rows, *_):
            for start in range(0, rows, step):
                work(slice(start, min(start + step, rows)))

        monkeypatch.setattr(sums, "over_rows", shared_out)
        return mean_of_finite(values)

    assert mean(400) == pytest.approx(np.nanmean(values), rel=1e-13)
    assert len({mean(step) for step in (1, 7, 100, 133, 200, 400)}) == 1
