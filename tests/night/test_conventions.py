"""Headers as programs and observatories write them, with true pixels: what the survey of a night makes of them."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.night import load_profile
from astro_calib.night.files.survey import survey_night
from tests.night.conventions import CONVENTIONS, page

SHAPE = (200, 300)
LEVELS = {"bias": 0, "dark": 40, "flat": 20_000, "science": 400}
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]


def pixels(truth, seed):
    """What a camera writes: a bias of 1000, and light of the kind of frame."""
    rng = np.random.default_rng(seed)
    light = np.full(SHAPE, float(LEVELS.get(truth, 400)))
    if truth == "flat":
        light *= 1 - ((X - 150) ** 2 + (Y - 100) ** 2) / 1e5
    if truth == "science":
        light += 9000 * np.exp(-((X - 60) ** 2 + (Y - 90) ** 2) / 8)
    return np.clip(np.rint(1000 + rng.poisson(light) + rng.normal(0, 5, SHAPE)), 0, 65535).astype(np.uint16)


def kind_of(data):
    """What is in a frame in truth, by its pixels."""
    level = float(np.median(data)) - 1000
    return min(LEVELS, key=lambda kind: abs(LEVELS[kind] - level))


def written(convention, raw):
    """Write the files of a convention; return them with what they are."""
    files = {}
    for number, frame in enumerate(convention.frames):
        header = fits.Header()
        for keyword, value in (convention.cards | frame.cards).items():
            header[keyword] = value
        data = pixels(frame.truth, zlib.crc32(convention.who.encode()) + number)
        path = raw / (frame.name or f"a{number:03}.fits")
        path.parent.mkdir(parents=True, exist_ok=True)
        fits.writeto(path, (data / 65535).astype(np.float32) if convention.floats else data, header)
        files[path] = frame
    return files


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda convention: convention.who)
def test_kinds_exposures_filters_and_gains_are_right_or_one_sentence_says_why_not(convention, tmp_path):
    files = written(convention, tmp_path)
    for profile in ("generic", "auto"):
        assert_right(convention, files, profile, *survey_night(tmp_path, load_profile(profile)))


def assert_right(convention, files, profile, frames, unused):
    """Compare what the survey made of the files of a convention with what they are."""
    found = {frame.path: frame for frame in frames} | {file.path: file for file in unused}
    assert found.keys() == files.keys()
    for path, frame in files.items():
        outcome = found[path]
        if frame.seconds is None:
            assert (frame.sentence or "ignored: arc lamp") in outcome.reason
            continue
        assert hasattr(outcome, "exposure_time"), outcome
        assert (outcome.kind, outcome.filter) == (frame.truth, frame.filter)
        assert outcome.kind == kind_of(fits.getdata(path))
        assert outcome.exposure_time == pytest.approx(frame.seconds, rel=1e-12)
        gains = [outcome.in_header[role] for role in ("gain", "gain_per_step") if role in outcome.in_header]
        expected = (convention.generic_gain if profile == "generic" else None) or convention.gain
        assert gains[:1] == ([] if expected is None else [expected])
        assert outcome.saturation == convention.saturation
        if frame.sentence:
            assert any(frame.sentence in remark for remark in outcome.remarks)
        elif not isinstance(frame.cards.get("EXPTIME"), tuple):
            # What is told by its header alone is not worth a remark.
            assert outcome.remarks == ()


def test_there_are_at_least_forty_of_them():
    assert len({convention.who for convention in CONVENTIONS}) == len(CONVENTIONS) >= 40


def test_the_page_has_the_same_table():
    text = (Path(__file__).parents[2] / "docs" / "conventions.inc").read_text(encoding="utf-8")
    assert text == page()
