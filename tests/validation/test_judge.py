from __future__ import annotations

import importlib.util
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from astro_calib.validation import trials, validate
from astro_calib.validation.trial import Trial

DOCS = Path(__file__).parents[2] / "docs"
#: Steps that take little time.
STEPS = ["deviation", "bias", "dark", "flat"]


def draw(rng):
    return rng.normal(0, 5.0, 500)


def predicting(variance, **attributes):
    """A trial of errors of sigma 5 with a variance predicted for them."""
    settings = {"step": "errors", "what": f"variance {variance}", "realisations": 500, "tolerance": 0.01, **attributes}
    return Trial(draw=draw, reduce=lambda errors: (errors, np.full(errors.shape, variance)), **settings)


@pytest.fixture
def only(monkeypatch):
    """A self-test of other trials than those of this package."""
    return lambda *others: monkeypatch.setattr(trials, "TRIALS", others)


def run(**options):
    return validate(jobs=1, progress=False, **options)


# ---- the error bars of this package


@pytest.mark.long
def test_a_quick_run_of_the_calibration_steps_passes():
    result = validate(quick=True, steps=STEPS, progress=False)
    assert result.passed, str(result)
    assert list(dict.fromkeys(result.table["step"])) == STEPS


def test_each_trial_has_a_name_of_its_own():
    names = [(trial.step, trial.what) for trial in trials.TRIALS]
    assert len(set(names)) == len(names)
    steps = [step for step, _ in names]
    assert steps == sorted(steps, key=steps.index), "trials of one step stand together"


@pytest.mark.long
@pytest.mark.parametrize("trial", trials.TRIALS, ids=lambda trial: f"{trial.step}: {trial.what}")
def test_all_noise_is_drawn_anew(trial):
    first, second = (np.asarray(trial.reduce(trial.draw(np.random.default_rng(seed)))[0]) for seed in (1, 2))
    # Whole numbers of digital units agree by chance, where there are few of them in the noise.
    assert first.shape != second.shape or np.mean(first == second) < 0.5


# ---- what is found


def test_a_wrong_error_bar_is_found(only):
    only(predicting(25.0), predicting(12.5))
    for quick in (True, False):
        result = run(quick=quick)
        assert not result.passed
        assert list(result.table["passed"]) == [True, False]
        assert result.failures == ["errors, variance 12.5"]
        assert result.table["ratio"][1] == pytest.approx(np.sqrt(2), rel=0.05)


def test_an_error_bar_that_is_off_by_twice_the_tolerance_is_found_by_the_full_run(only):
    only(predicting(25.0 / 1.02**2, realisations=1000))
    assert not run().passed
    assert run(quick=True).passed


def test_too_few_realisations_are_not_enough_however_good_the_ratio(only):
    only(predicting(25.0, realisations=2), predicting(12.5))
    result = run()
    assert not result.passed
    assert result.unknown == ["errors, variance 25.0"]
    assert result.failures == ["errors, variance 12.5"]
    lines = str(result).splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["more", "FAIL"]
    assert lines[-1].startswith(
        "1 of 2 error bars are wrong; 1 of 2 are not known well enough: more draws are needed (full run"
    )


def test_a_limit_says_how_large_the_ratio_may_be(only):
    only(predicting(100.0, limit=True, tolerance=0.1), predicting(25.0))
    lines = str(run()).splitlines()
    assert lines[1].endswith("<= 1.10")
    assert lines[2].endswith("1.00%")


def test_predicted_and_observed_are_in_the_table(only):
    only(predicting(16.0, tolerance=0.02))
    (row,) = run().table
    assert row["predicted"] == pytest.approx(4.0)
    assert row["observed"] == pytest.approx(5.0, rel=0.01)
    assert row["ratio"] == pytest.approx(row["observed"] / row["predicted"])
    # 500 realisations of 500 pixels.
    assert row["ratio_error"] == pytest.approx(1.25 / np.sqrt(2 * 250_000), rel=0.2)
    assert row["tolerance"] == 0.02


def test_the_other_package_stands_beside_it_where_it_has_such_a_thing(only):
    half = predicting(25.0, with_ccdproc=lambda errors: (errors, np.full(errors.shape, 100.0)))
    only(half, predicting(26.0, tolerance=0.05))
    table = run(against="ccdproc").table
    assert table["ccdproc_ratio"][0] == pytest.approx(0.5, rel=0.02)
    assert table["ccdproc_predicted"][0] == pytest.approx(10.0)
    assert table["ccdproc_ratio"].mask.tolist() == [False, True]
    # It does not count: the error bars that are tried are ours.
    assert run(against="ccdproc").passed
    assert "ccdproc_ratio" not in run().table.colnames


# ---- on which cores


def test_processes_and_their_threads_are_as_many_as_the_cpus_that_may_be_used(only, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    seen = []
    only(predicting(25.0, what="threads", with_ccdproc=lambda errors: seen.append(os.environ["OMP_NUM_THREADS"])))
    with pytest.raises(RuntimeError, match="threads, realisation 0"):
        run(against="ccdproc")
    assert seen == ["1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    only(predicting(25.0))
    # In this process, for another would not know the trial.
    assert validate(quick=True, progress=False).passed


# ---- which numbers


def numbers(result):
    columns = ["predicted", "observed", "ratio", "ratio_error"]
    return {(row["step"], row["what"]): tuple(row[columns]) for row in result.table}


@pytest.mark.long
def test_the_table_does_not_depend_on_the_processes_or_on_what_else_is_tried():
    alone = numbers(run(quick=True, steps=["deviation"]))
    others = numbers(validate(quick=True, steps=["bias", "deviation"], jobs=2, progress=False))
    assert alone.items() <= others.items()
    assert len(others) > len(alone)


def test_another_seed_gives_other_frames(only):
    only(predicting(25.0))
    first, again, other = (numbers(run(quick=True, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_trials_do_not_share_their_frames(only):
    only(predicting(25.0, what="one"), predicting(25.0, what="other"))
    observed = run(quick=True).table["observed"]
    assert observed[0] != observed[1]


# ---- what is said


def test_the_table_is_printed_a_line_a_trial(only):
    only(predicting(25.0), predicting(12.5, step="others"))
    heading, right, wrong, summary = str(run(quick=True)).splitlines()
    assert heading.split()[:2] == ["step", "error"]
    assert right.startswith("pass  errors")
    assert wrong.startswith("FAIL  others")
    assert summary == "1 of 2 error bars are wrong (quick run, seed 0)."


def test_the_summary_of_right_error_bars(only):
    only(predicting(25.0))
    assert str(run(seed=3)).splitlines()[-1] == "all 1 error bars are right (full run, seed 3)."


def test_it_is_remembered_which_run_it_was(only):
    only(predicting(25.0, with_ccdproc=lambda errors: (errors, np.ones(errors.shape))))
    meta = run(quick=True, seed=3, against="ccdproc").table.meta
    assert (meta["seed"], meta["quick"]) == (3, True)
    assert meta["date"] == datetime.now(UTC).date().isoformat()
    assert set(meta["versions"]) == {"astro-calib", "astropy", "ccdproc", "numpy"}


def test_a_trial_that_breaks_is_named(only):
    def broken(_):
        msg = "no such frame"
        raise KeyError(msg)

    only(Trial(step="errors", what="broken", draw=draw, reduce=broken, realisations=20))
    with pytest.raises(RuntimeError, match=r"errors: broken, realisation 0 of seed 7: KeyError.*no such frame"):
        run(seed=7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": ["overscans"]}, "no step 'overscans'; there are overscan, gain"),
        ({"steps": []}, "no step is given"),
        ({"against": "iraf"}, "'iraf'; expected one of ccdproc"),
        ({"jobs": 0}, "jobs is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_an_argument_without_meaning_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        validate(progress=False, **options)


# ---- the documentation


@pytest.fixture(scope="module")
def make_validation():
    """The script that makes the tables of the documentation."""
    spec = importlib.util.spec_from_file_location("make_validation", DOCS / "make_validation.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("part", ["versions", "trials"])
def test_the_documentation_shows_the_table_of_that_run(make_validation, part):
    table = Table.read(DOCS / "validation.ecsv")
    shown = (DOCS / f"validation_{part}.inc").read_text(encoding="utf-8")
    assert shown == getattr(make_validation, part)(table)


def test_no_number_of_the_documentation_is_a_negative_nothing(make_validation):
    rows = [(model, 3.0, 1.0, 1 - 1e-6, 1e-6) for model in make_validation.MODELS]
    table = Table(rows=rows, names=("model", "read_noise", "sky", "ratio", "ratio_error"))
    assert ", 0.00 ± 0.00" in make_validation.shot_noise(table)
    for path in DOCS.glob("validation_*.inc"):
        assert not re.search(r"(^|\s)[-+]0\.0+( |$)", path.read_text(encoding="utf-8"), re.MULTILINE), path


def test_the_documentation_has_a_full_run_of_these_trials_that_passed():
    table = Table.read(DOCS / "validation.ecsv")
    assert [(row["step"], row["what"]) for row in table] == [(trial.step, trial.what) for trial in trials.TRIALS]
    assert not table.meta["quick"]
    assert table["passed"].all()
    assert np.all(3 * table["ratio_error"] <= table["tolerance"])
