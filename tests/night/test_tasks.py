"""A night as a graph of tasks, each of which can be done anywhere from files and what can be pickled."""

from __future__ import annotations

import json
import pickle
from contextlib import contextmanager
from graphlib import TopologicalSorter

import numpy as np
import pytest
from astropy.io import fits

from astro_calib import simulate
from astro_calib.night.common.names import called
from astro_calib.night.common.output import Output
from astro_calib.night.planning import make_plan
from astro_calib.night.tasks.graph import tasks_of
from astro_calib.night.tasks.make import do
from astro_calib.night.tasks.serial import run_serial
from astro_calib.night.tasks.workplace import Workplace

CHOICES = {"stars": True, "pictures": False, "aperture": None}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """A night of two filters, whose science frames are shorter than the darks."""
    directory = tmp_path_factory.mktemp("tasks") / "raw"
    camera = simulate.camera((96, 128), seed=3, filters=["V", "R"])
    simulate.night(directory, seed=3, camera=camera, science=1, biases=3, darks=3, flats=3)
    return make_plan(directory, "auto", detector="auto")


@contextmanager
def workplace(plan, directory):
    with Output(directory, []) as output:
        yield Workplace(plan, output, called(frame.path for frame in plan.frames), CHOICES)


def sent(thing):
    """What arrives in another process."""
    return pickle.loads(pickle.dumps(thing))  # noqa: S301  it is ours


def content(path):
    """All arrays of a file, the budget but for the date of its making."""
    with fits.open(path) as hdus:
        arrays = {(number, hdu.name): np.array(hdu.data).tobytes() for number, hdu in enumerate(hdus)}
        budget = json.loads(hdus["BUDGET"].data.tobytes())
    for record in budget["provenance"]:
        del record["date"]
    return {key: array for key, array in arrays.items() if key[1] != "BUDGET"}, budget


def test_what_a_task_needs_stands_before_it(plan):
    tasks = tasks_of(plan)
    order = {task.name: place for place, task in enumerate(tasks)}
    assert len(order) == len(tasks)
    for task in tasks:
        assert all(order[name] < order[task.name] for name in (*task.needs, *task.after))
    TopologicalSorter({task.name: task.needs for task in tasks}).prepare()


def test_a_science_frame_needs_the_flat_of_its_filter_and_no_other(plan):
    needs = {task.name: task.needs for task in tasks_of(plan)}
    assert "flat-V" in needs["science-001-V"]
    assert "flat-R" not in needs["science-001-V"]


class Elsewhere(Workplace):
    """Another process, which gets no master but from its file."""

    def keep(self, master, frame):
        pass


def test_a_task_done_elsewhere_from_files_gives_the_same_files_as_the_run_in_one_process(plan, tmp_path):
    tasks = tasks_of(plan)
    with workplace(plan, tmp_path / "together") as place:
        together = {task.name: outcome for task, outcome in run_serial(tasks, place, {})}
    apart = {}
    with workplace(plan, tmp_path / "apart") as ours:
        place = sent(Elsewhere(**vars(ours)))
        for task in tasks:
            # As a worker gets it, and sends it back.
            got, given = sent((task, apart))
            apart[task.name] = sent(do(got, place, given))
    assert len([outcome for outcome in apart.values() if outcome.summary is not None]) == 6
    for name, outcome in together.items():
        assert apart[name].files == outcome.files
        assert apart[name].said == outcome.said
        for file in outcome.files:
            one, other = tmp_path / "together" / file, tmp_path / "apart" / file
            if not file.endswith(".fits"):
                assert one.read_bytes() == other.read_bytes()
                continue
            assert content(one) == content(other)
