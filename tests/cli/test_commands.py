"""The command line: what it prints, and with which exit status."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy import log
from astropy.io import fits
from astropy.table import Table
from click.testing import CliRunner

import astro_calib
from astro_calib import simulate
from astro_calib.characterize import plan_calibration
from astro_calib.cli import main
from astro_calib.errors import FrameError
from astro_calib.validation import trials
from astro_calib.validation.trial import Trial
from tests.quickly import without_pictures_and_empty_apertures


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A night of small raw frames."""
    directory = tmp_path_factory.mktemp("cli") / "raw"
    simulate.night(directory, seed=3, shape=(128, 128), biases=4, darks=2, flats=2, science=1, stars=20)
    return directory


@pytest.fixture
def silent(raw, tmp_path):
    """The same frames with headers that tell neither gain nor read noise."""
    directory = tmp_path / "silent"
    shutil.copytree(raw, directory)
    for path in directory.iterdir():
        for keyword in ("GAIN", "RDNOISE"):
            fits.delval(path, keyword)
    return directory


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No empty apertures, and pictures without anything on them: here it matters what is printed."""
    without_pictures_and_empty_apertures(monkeypatch)


def call(*arguments):
    # Where COLUMNS is set, as where tests run in parallel, lines are as short as it says.
    return CliRunner(env={"COLUMNS": None}).invoke(main, [str(argument) for argument in arguments])


def message(result, status=1):
    """The one message of a run that failed as it should."""
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert result.stderr.count("Error: ") == 1
    return result.stderr.partition("Error: ")[2]


@pytest.mark.parametrize("command", [[], ["reduce"], ["demo"], ["validate"], ["advise"], ["ptc"], ["audit"]])
def test_help_shows_an_example(command):
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert "Example:\n" in result.stdout
    assert f"astro-calib {' '.join(command) or 'demo'}" in result.stdout


def test_version():
    result = call("--version")
    assert result.exit_code == 0
    assert astro_calib.__version__ in result.stdout


def test_reduce(raw, tmp_path):
    result = call("reduce", raw, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "4 masters and 2 science frames" in result.stdout
    assert (tmp_path / "out" / "summary.txt").read_text(encoding="utf-8") == result.stdout
    assert len(list((tmp_path / "out" / "calibrated").glob("*.fits"))) == 2
    assert "reading" in result.stderr


def test_quiet_prints_nothing(raw, tmp_path):
    result = call("reduce", raw, "-o", tmp_path / "out", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "out" / "summary.txt").exists()


def test_gain_and_read_noise_by_option(silent, tmp_path):
    result = call("reduce", silent, "-o", tmp_path / "out", "--gain", 1.5, "--read-noise", 8, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_unknown_gain_says_which_option_gives_it(silent, tmp_path):
    asked = call("reduce", silent, "-o", tmp_path / "out", "--detector", "header")
    assert "Give --gain, or detector.gain in a profile" in message(asked)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("gain", ["0", "-1.5", "nan"])
def test_impossible_gain(raw, tmp_path, gain):
    assert "gain is" in message(call("reduce", raw, "-o", tmp_path / "out", f"--gain={gain}"))


def test_results_are_replaced_only_if_asked_for(raw, tmp_path):
    out = tmp_path / "out"
    (out / "masters").mkdir(parents=True)
    (out / "masters" / "master-bias.fits").write_text("precious")
    assert "--overwrite" in message(call("reduce", raw, "-o", out, "--quiet"))
    assert (out / "masters" / "master-bias.fits").read_text() == "precious"
    assert call("reduce", raw, "-o", out, "--quiet", "--overwrite").exit_code == 0


def test_empty_directory(tmp_path):
    (tmp_path / "raw").mkdir()
    assert "there are no raw frames" in message(call("reduce", tmp_path / "raw", "-o", tmp_path / "out"))


def test_only_science_frames(raw, tmp_path):
    frames = [Path(shutil.copy(path, tmp_path)) for path in sorted(raw.glob("science*"))]
    for path in frames:
        fits.delval(path, "BIASSEC")
    assert "only science frames" in message(call("reduce", *frames, "-o", tmp_path / "out"))


def test_only_science_frames_with_an_overscan_are_reduced_and_what_they_lack_is_said(raw, tmp_path):
    result = call("reduce", *sorted(raw.glob("science*")), "-o", tmp_path / "out", "--no-stars")
    assert result.exit_code == 0
    assert "there is nothing to calibrate with: only the level of zero light is subtracted" in result.stdout


def test_path_that_does_not_exist(tmp_path):
    assert "nowhere does not exist" in message(call("reduce", tmp_path / "nowhere", "-o", tmp_path / "out"))


def test_profile_that_does_not_exist_or_is_wrong(raw, tmp_path):
    unknown = call("reduce", raw, "-o", tmp_path / "out", "--profile", "hubble")
    assert "there is no profile 'hubble'; built in are generic, indi, lco, nickel" in message(unknown)
    (tmp_path / "mine.toml").write_text("[detector]\ngian = 1\n")
    wrong = call("reduce", raw, "-o", tmp_path / "out", "--profile", tmp_path / "mine.toml")
    assert "did you mean 'gain'?" in message(wrong)


def test_directory_that_cannot_be_made(raw, tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in message(call("reduce", raw, "-o", tmp_path / "file" / "out", "--quiet"))


def test_a_science_frame_that_fails_is_named_and_the_exit_status_tells(raw, tmp_path, monkeypatch):
    from astro_calib.night.tasks import make

    def fail(frame, *_):
        msg = f"{frame.path.name}: clouds"
        raise FrameError(msg)

    monkeypatch.setattr(make, "reduce_science", fail)
    result = call("reduce", raw, "-o", tmp_path / "out")
    assert "2 of 2 science frames could not be reduced:\n  science-001-V.fits" in message(result)
    assert "4 masters and 0 science frames" in result.stdout


def test_a_science_frame_lost_before_it_was_read_is_named_though_quiet(raw, tmp_path):
    damaged = tmp_path / "raw"
    shutil.copytree(raw, damaged)
    (damaged / "notes.txt").write_text("clouds")
    frame = next(damaged.glob("science*"))
    shutil.copy(frame, damaged / "zz-copy.fits")
    assert call("reduce", damaged, "-o", tmp_path / "first", "--quiet").exit_code == 0
    (damaged / "cut.fits").write_bytes(frame.read_bytes()[:5000])
    shutil.copy(frame, damaged / "timeless.fits")
    fits.delval(damaged / "timeless.fits", "EXPTIME")
    # Two were reduced: the status tells that there is something, and that there should be more.
    text = message(call("reduce", damaged, "-o", tmp_path / "out", "--quiet"), status=3)
    assert "1 of 3 science frames could not be reduced:\n  timeless.fits: no exposure time" in text
    assert "files that cannot be read, and may be science frames (1):\n  cut.fits: truncated" in text
    assert "notes.txt" not in text
    assert "zz-copy.fits" not in text
    assert (tmp_path / "out" / "summary.txt").exists()


def test_a_fault_of_the_program_is_not_hidden(raw, tmp_path, monkeypatch):
    from astro_calib.night import run

    def fail(*_, **__):
        raise AssertionError

    monkeypatch.setattr(run, "make_plan", fail)
    assert isinstance(call("reduce", raw, "-o", tmp_path / "out", "--quiet").exception, AssertionError)


def test_missing_arguments_are_a_matter_of_usage(tmp_path):
    assert call("reduce").exit_code == 2
    assert call("reduce", tmp_path).exit_code == 2


def test_demo(tmp_path, monkeypatch):
    # It shows what empty apertures say.
    monkeypatch.undo()
    monkeypatch.setattr(simulate, "night", partial(simulate.night, shape=(128, 128), stars=20))
    result = call("demo", tmp_path / "demo", "--seed", 2)
    assert result.exit_code == 0, result.output
    assert "4 science frames" in result.stdout
    assert str(tmp_path / "demo" / "reduced" / "pictures") in result.stdout
    assert len(list((tmp_path / "demo" / "raw").glob("*.fits"))) == 34
    assert "--overwrite" in message(call("demo", tmp_path / "demo"))
    # First of all: what an error is made of, and the ratios of the stars, as the tables of stars have them.
    error, stars, *_ = result.stdout.split("\n\n")
    shares = re.findall(r"^  ([a-z ]+?) +([\d.]+)%  #*$", error, re.MULTILINE)
    assert {"shot noise", "read noise"} <= {name for name, _ in shares}
    assert sum(float(share) for _, share in shares) == pytest.approx(100, abs=0.5)
    rows = re.findall(r"^  (science-\S+)\.fits +(\d+) +([\d.]+) +([\d.]+) +([\d.]+)$", stars, re.MULTILINE)
    assert len(rows) == 4
    for name, number, before, after, times in rows:
        table = Table.read(tmp_path / "demo" / "reduced" / "tables" / f"{name}.ecsv")
        assert int(number) == len(table)
        medians = [np.nanmedian(table[f"snr_empirical{when}"]) for when in ("_before", "")]
        np.testing.assert_allclose([float(before), float(after)], medians, atol=0.06)
        assert float(times) == pytest.approx(medians[1] / medians[0], abs=0.01)


# ---- validate


@pytest.fixture
def only(monkeypatch):
    """A self-test of one trial, of errors of sigma 5 with a given variance predicted for them."""

    def install(variance):
        trial = Trial(
            step="errors",
            what=f"variance {variance}",
            draw=lambda rng: rng.normal(0, 5, 500),
            reduce=lambda errors: (errors, np.full(errors.shape, variance)),
            with_ccdproc=lambda errors: (errors, np.full(errors.shape, 100.0)),
            realisations=500,
        )
        monkeypatch.setattr(trials, "TRIALS", (trial,))

    return install


def test_validate_prints_a_line_a_trial_and_one_to_sum_up(only):
    only(25.0)
    result = call("validate", "--seed", 4, "--jobs", 1)
    assert result.exit_code == 0, result.output
    heading, trial, summary = result.stdout.splitlines()
    assert "predicted" in heading
    assert trial.startswith("pass  errors  variance 25.0")
    assert summary == "all 1 error bars are right (full run, seed 4)."
    assert "validating" in result.stderr


def test_a_wrong_error_bar_is_named_and_the_exit_status_tells(only):
    only(12.5)
    result = call("validate", "--quick")
    assert message(result) == "wrong error bars:\n  errors, variance 12.5\n"
    assert result.stdout.splitlines()[1].startswith("FAIL  errors")
    assert result.stdout.splitlines()[-1] == "1 of 1 error bars are wrong (quick run, seed 0)."
    quiet = call("validate", "--quick", "--quiet")
    assert quiet.exit_code == 1
    assert quiet.stdout == ""


def test_validate_quietly(only):
    only(25.0)
    result = call("validate", "--quick", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_validate_against_ccdproc_writes_what_it_prints(only, tmp_path):
    only(25.0)
    path = tmp_path / "table.ecsv"
    result = call("validate", "--quick", "--against", "ccdproc", "-o", path)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].split()[-1] == "ccdproc"
    (row,) = Table.read(path)
    assert row["ccdproc_ratio"] == pytest.approx(0.5, rel=0.05)
    assert result.stdout.splitlines()[1].split()[-1] == f"{row['ccdproc_ratio']:.3f}"


def test_the_table_is_written_though_an_error_bar_is_wrong(only, tmp_path):
    only(12.5)
    assert call("validate", "--quick", "-o", tmp_path / "table.ecsv").exit_code == 1
    assert not Table.read(tmp_path / "table.ecsv")["passed"][0]


def test_a_table_is_replaced_only_if_asked_for_and_before_any_work(only, tmp_path):
    only(25.0)
    path = tmp_path / "table.ecsv"
    path.write_text("precious")
    refused = call("validate", "--quick", "-o", path)
    assert "--overwrite" in message(refused)
    assert refused.stdout == ""
    assert path.read_text() == "precious"
    assert call("validate", "--quick", "-o", path, "--overwrite").exit_code == 0
    assert len(Table.read(path)) == 1
    assert "is not a directory" in message(call("validate", "-o", tmp_path / "nowhere" / "table.ecsv"))


def test_a_step_that_does_not_exist_is_named_with_those_that_do():
    assert "there is no step 'overscans'; there are overscan, gain" in message(call("validate", "--step", "overscans"))


@pytest.mark.parametrize(("option", "value"), [("--jobs", 0), ("--seed", -1)])
def test_numbers_without_meaning(option, value):
    assert f"{option[2:]} is {value}" in message(call("validate", option, value))


def test_only_known_packages_can_be_compared_with():
    assert call("validate", "--against", "iraf").exit_code == 2


def test_a_chosen_step():
    result = call("validate", "--quick", "--step", "deviation", "--jobs", 1)
    assert result.exit_code == 0, result.output
    assert {line.split()[1] for line in result.stdout.splitlines()[1:-1]} == {"deviation"}


# ---- the log


@pytest.mark.parametrize("quiet", [False, True])
def test_what_astropy_logs_is_no_result_and_not_told_if_quiet(quiet, only, monkeypatch):
    only(25.0)
    reduce = trials.TRIALS[0].reduce

    def speaking(errors):
        log.info("loops are compiled")
        return reduce(errors)

    monkeypatch.setattr(trials, "TRIALS", (replace(trials.TRIALS[0], reduce=speaking),))
    before = list(log.handlers), log.level
    result = call("validate", "--quick", "--jobs", 1, *["--quiet"] * quiet)
    assert "compiled" not in result.stdout
    assert ("INFO: loops are compiled\n" in result.stderr) == (not quiet)
    assert (list(log.handlers), log.level) == before


# ---- advise

NIGHT = ("--gain", 1.5, "--read-noise", 8, "--flux", 200, "--sky", 5, "--dark-current", 0.1, "--flat-level", 20000)


def test_advise_says_what_python_says():
    rate = u.electron / u.s
    plan = plan_calibration(
        astro_calib.Detector(gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron),
        flux=200 * rate,
        sky=5 * rate,
        dark_current=0.1 * rate,
        fwhm=4,
        flat_level=20000 * u.adu,
        lamp_time=5 * u.s,
        read_out_time=10 * u.s,
        time=30 * u.min,
    )
    result = call("advise", *NIGHT, "--time", 30)
    assert result.exit_code == 0
    assert result.stdout == f"{plan}\n"


def test_advise_draws_the_curve(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", lambda _, file, **__: file.write(b"a picture"))
    path = tmp_path / "curve.png"
    given = ("--exposure", 60, "--science", 20, "--biases", 10, "--darks", 3, "--flats", 10, "-o", path)
    result = call("advise", *NIGHT, *given)
    assert result.exit_code == 0
    assert "One more minute gains most with darks" in result.stdout
    assert path.read_bytes() == b"a picture"
    assert "exists already" in message(call("advise", *NIGHT, *given))
    assert call("advise", *NIGHT, *given, "--overwrite").exit_code == 0


def test_advise_tells_mistakes_in_a_sentence():
    assert "give the telescope time=" in message(call("advise", *NIGHT))
    assert "more time" in message(call("advise", *NIGHT, "--time", 1))
    assert call("advise", *NIGHT, "--time", -1).exit_code == 2
