"""What `astro-calib validate` does where its table cannot be written."""

from __future__ import annotations

import errno
import tempfile

import numpy as np
import pytest
from click.testing import CliRunner

from astro_calib.cli import main
from astro_calib.validation import trials
from astro_calib.validation.trial import Trial


@pytest.fixture(autouse=True)
def one_trial(monkeypatch):
    """A self-test that takes no time, of errors of sigma 5."""
    trial = Trial(
        step="errors",
        what="of sigma 5",
        draw=lambda rng: rng.normal(0, 5, 500),
        reduce=lambda errors: (errors, np.full(errors.shape, 25.0)),
        realisations=500,
    )
    monkeypatch.setattr(trials, "TRIALS", (trial,))


def validate(out, *options):
    result = CliRunner().invoke(main, ["validate", "--jobs", "1", "-o", str(out), *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_a_directory_is_refused_before_any_work(tmp_path, overwrite):
    for out in (tmp_path, ""):
        refused = validate(out, *overwrite)
        assert refused.exit_code == 1
        assert "is a directory; give the name of a file" in refused.stderr
        assert "validating" not in refused.stderr
        assert refused.stdout == ""


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_where_no_file_can_be_made_it_says_so_before_any_work(tmp_path, monkeypatch, overwrite):
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    refused = validate(tmp_path / "table.ecsv", *overwrite)
    assert refused.exit_code == 1
    assert f"no file can be made in {tmp_path}: No space left on device" in refused.stderr
    assert "validating" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_table_is_shown_though_it_cannot_be_written_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("astro_calib.io.atomic.write_atomically", full)
    result = validate(tmp_path / "table.ecsv")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert result.stdout.splitlines()[1].startswith("pass  errors  of sigma 5")


def test_what_is_not_known_well_enough_is_not_called_wrong(tmp_path, monkeypatch):
    (trial,) = trials.TRIALS
    vague = Trial(step="errors", what="few", draw=trial.draw, reduce=trial.reduce, realisations=10)
    wrong = Trial(
        step="errors",
        what="wrong",
        draw=trial.draw,
        reduce=lambda errors: (errors, np.full(errors.shape, 20.0)),
        realisations=500,
    )
    for given, message in (
        ((vague,), "not known well enough, more draws are needed:\n  errors, few\n"),
        ((trial, wrong), "wrong error bars:\n  errors, wrong\n"),
        (
            (vague, wrong),
            "wrong error bars:\n  errors, wrong\nnot known well enough, more draws are needed:\n  errors, few\n",
        ),
    ):
        monkeypatch.setattr(trials, "TRIALS", given)
        result = validate(tmp_path / "table.ecsv", "--overwrite")
        assert result.exit_code == 1
        assert result.stderr.endswith(f"Error: {message}")
