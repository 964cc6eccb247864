"""A night that measures its own detector: right headers stay, wrong ones are overruled, and what is missing is said."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import uniform_filter

from astro_calib.errors import FrameError
from astro_calib.night import reduce_night
from astro_calib.night.files import sample
from astro_calib.night.planning import make_plan
from tests.night.synthetic import Camera

SHAPE = (420, 420)
GAIN, READ_NOISE, BIAS = 1.6, 8.0, 500.0
#: Relative light of the pixels: a lens that is darker in its corners, and pixels that differ by 1%.
Y, X = np.mgrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
PATTERN = (1 - 0.3 * (X**2 + Y**2)) * (1 + 0.01 * np.random.default_rng(0).standard_normal(SHAPE))


def exposed(rng, electrons, *, bend=0.0):
    """A raw frame of a camera of `GAIN` and `READ_NOISE`, in adu; ``bend`` is what it loses at 40000 adu."""
    light = rng.poisson(electrons * PATTERN) / GAIN if electrons else np.zeros(SHAPE)
    light = light * (1 - bend * light / 40_000)
    return np.clip(np.rint(BIAS + light + rng.normal(0, READ_NOISE / GAIN, SHAPE)), 0, 65535)


class Night:
    """Writes frames into a directory."""

    def __init__(self, directory, header):
        self.directory, self.header = directory, header
        self.rng = np.random.default_rng(5)

    def write(self, name, kind, pixels, *, seconds=30.0, dtype=np.uint16, **cards):
        header = fits.Header({"IMAGETYP": kind, "EXPTIME": 0.0 if kind == "BIAS" else seconds, "FILTER": "V"})
        header.update(self.header | cards)
        fits.writeto(self.directory / f"{name}.fits", pixels.astype(dtype), header)

    def biases(self, number=3, **cards):
        for index in range(number):
            self.write(f"bias{index}", "BIAS", exposed(self.rng, 0), **cards)

    def flats(self, levels=(24_000, 30_000, 36_000, 40_000), *, bend=0.0, **cards):
        for index, level in enumerate(levels):
            self.write(f"flat{index}", "FLAT", exposed(self.rng, level, bend=bend), **cards)

    def science(self, number=2, **cards):
        for index in range(number):
            self.write(f"light{index}", "LIGHT", exposed(self.rng, 800), **cards)


@pytest.fixture
def night(tmp_path):
    def make(**header):
        directory = tmp_path / "raw"
        directory.mkdir()
        return Night(directory, header)

    return make


def planned(night, **options):
    """The gain, the read noise and the plan."""
    plan = make_plan(night.directory, "generic", **{"detector": "auto", **options})
    return (*plan.numbers, plan)


def whole(**header):
    """What writes a night that has all that is needed."""

    def write(night):
        night.header.update(header)
        night.biases()
        night.flats()
        night.science()

    return write


def test_nothing_is_needed_from_anyone(night):
    taken = night()
    whole()(taken)
    gain, noise, plan = planned(taken)
    assert (gain.source, noise.source) == ("measured", "measured")
    assert abs(gain.value - GAIN) < 3 * gain.uncertainty < 0.09 * GAIN
    # The gain's error is in both, and a read noise is known from 400000 pixels.
    assert noise.value / gain.value == pytest.approx(READ_NOISE / GAIN, rel=0.005)
    assert plan.detector.gain_uncertainty.value == gain.uncertainty
    assert gain.alarm == noise.alarm == ""


@pytest.mark.parametrize("wrong", [1.0, 2.4, 120])
def test_a_wrong_gain_in_headers_is_overruled_loudly(night, wrong):
    taken = night()
    whole(GAIN=(wrong, "e-/ADU"))(taken)
    gain, _, _ = planned(taken)
    assert gain.source == "measured"
    assert gain.value == pytest.approx(GAIN, rel=0.06)
    assert f"the gain in the headers, {wrong:g} electron/adu, is wrong" in gain.alarm
    assert ("setting" in gain.alarm) == (wrong == 120)


def test_a_right_gain_in_headers_stays_as_it_is(night):
    taken = night()
    whole(GAIN=GAIN, RDNOISE=READ_NOISE)(taken)
    gain, noise, plan = planned(taken)
    assert gain.value == GAIN
    assert gain.alarm == noise.alarm == ""
    assert noise.value == pytest.approx(READ_NOISE, rel=0.005)
    assert gain.source == "header"
    assert plan.detector.gain_uncertainty is None


def test_a_wrong_read_noise_in_headers_is_overruled(night):
    taken = night()
    whole(GAIN=GAIN, RDNOISE=4.0)(taken)
    gain, noise, _ = planned(taken)
    assert gain.value == GAIN
    assert noise.source == "measured"
    assert noise.value == pytest.approx(READ_NOISE, rel=0.005)
    assert "the read noise in the headers, 4 electron, is wrong" in noise.alarm


def test_what_is_stated_is_taken_and_contradicted_loudly(night, tmp_path):
    taken = night()
    whole(GAIN=GAIN)(taken)
    gain, _, plan = planned(taken, gain=3.0, read_noise=READ_NOISE * 3 / GAIN)
    assert gain.value == plan.detector.gain.value == 3.0
    assert "the gain of 3 electron/adu that --gain states is taken, but" in gain.alarm
    profile = tmp_path / "mine.toml"
    profile.write_text(f"[detector]\ngain = {GAIN}\n")
    gain, _, _ = (*make_plan(taken.directory, profile, detector="auto").numbers, None)
    assert (gain.value, gain.source, gain.alarm) == (GAIN, "profile mine", "")


# -- guards: none of these overrules a right header ------------------------------------------------------------------


def nonlinear(night):
    """A response that loses 4% at the level of the flats: their gain is off by 10% and more."""
    night.biases()
    night.flats((50_000, 50_500, 51_000, 51_500), bend=0.05)
    night.science()


def at_the_top(night):
    """Flats at 92% of the range, some of whose pixels are full."""
    night.biases()
    night.flats((102_000, 101_000, 102_000))
    night.science()


def stacks(night):
    """Means of nine flats each, whole numbers, called flats; the header says so."""
    night.biases()
    for index in range(3):
        mean = np.mean([exposed(night.rng, 30_000) for _ in range(9)], axis=0)
        night.write(f"flat{index}", "FLAT", np.rint(mean), NFRAMES=9)
    night.science()


def silent_stacks(night):
    """The same, and nothing says so."""
    night.biases()
    for index in range(3):
        mean = np.mean([exposed(night.rng, 30_000) for _ in range(9)], axis=0)
        night.write(f"flat{index}", "FLAT", np.rint(mean))
    night.science()


def floating_stacks(night):
    """Means that are no whole numbers."""
    night.biases()
    for index in range(3):
        mean = np.mean([exposed(night.rng, 30_000) for _ in range(9)], axis=0)
        night.write(f"flat{index}", "FLAT", mean, dtype=np.float32)
    night.science()


def smoothed(night):
    night.biases()
    for index in range(3):
        night.write(f"flat{index}", "FLAT", np.rint(uniform_filter(exposed(night.rng, 30_000), 2)))
    night.science()


def darks_as_biases(night):
    """Dark current of 400 electrons, and hot pixels, in what the headers call biases."""
    hot = np.where(night.rng.random(SHAPE) < 0.02, 4000.0, 400.0)
    for index in range(3):
        dark = exposed(night.rng, 0) + night.rng.poisson(hot) / GAIN
        night.write(f"bias{index}", "BIAS", np.rint(dark))
    night.flats()
    night.science()


def one_flat_twice(night):
    night.biases()
    flat = exposed(night.rng, 30_000)
    for index in range(2):
        night.write(f"flat{index}", "FLAT", flat, OBJECT=f"flat {index}")
    night.science()


@pytest.mark.parametrize(
    "guarded",
    [nonlinear, at_the_top, stacks, silent_stacks, floating_stacks, smoothed, darks_as_biases, one_flat_twice],
    ids=lambda write: write.__name__,
)
def test_a_right_header_is_not_overruled(night, guarded):
    taken = night(GAIN=GAIN, RDNOISE=READ_NOISE)
    guarded(taken)
    gain, noise, _ = planned(taken)
    assert gain.value == pytest.approx(GAIN, rel=0.03)
    assert gain.alarm == ""
    assert noise.value == pytest.approx(READ_NOISE, rel=0.05)


# -- what is missing ---------------------------------------------------------------------------------------------------


def no_light(night):
    night.biases()
    for index in range(3):
        night.write(f"flat{index}", "FLAT", exposed(night.rng, 0))
    night.science()


def saturated(night):
    night.biases()
    for index in range(3):
        night.write(f"flat{index}", "FLAT", np.full(SHAPE, 65535) - (X > 0.9) * night.rng.integers(0, 9, SHAPE))
    night.science()


def one_flat(night):
    night.biases()
    night.flats((30_000,))
    night.science()


def one_bias(night):
    night.biases(1)
    night.flats()
    night.science()


def darks_only(night):
    for index in range(3):
        night.write(f"dark{index}", "DARK", exposed(night.rng, 40), BIASSEC="[1:20,1:420]", TRIMSEC="[21:420,1:420]")
    night.science(BIASSEC="[1:20,1:420]", TRIMSEC="[21:420,1:420]")


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (no_light, "without light"),
        (saturated, "saturated"),
        (one_flat, "there is only one flat through one filter"),
        (one_flat_twice, "there is only one flat through one filter"),
        (one_bias, "there is only one raw bias"),
        (darks_only, "there are no biases"),
        (stacks, "there are no two raw flats through one filter"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_what_is_missing_is_said_in_one_sentence(night, write, reason):
    taken = night()
    write(taken)
    with pytest.raises(FrameError) as error:
        planned(taken)
    (line,) = [line for line in str(error.value).splitlines() if line.startswith("the gain")]
    assert reason in line
    assert "two raw flats through one filter" in line
    assert "astro-calib ptc" in line


# -- the other modes ---------------------------------------------------------------------------------------------------


def test_only_what_a_mode_allows_is_taken(night):
    taken = night()
    whole(GAIN=2.4, RDNOISE=12.0)(taken)
    gain, noise, _ = planned(taken, detector="header")
    assert (gain.value, gain.measured, noise.value) == (2.4, None, 12.0)
    gain, noise, _ = planned(taken, detector="measure", gain=5.0)
    assert gain.source == noise.source == "measured"
    assert gain.value == pytest.approx(GAIN, rel=0.06)
    with pytest.raises(FrameError, match=r"the gain .* is not known: neither the profile nor --gain states it"):
        planned(taken, detector="profile", read_noise=8)
    assert planned(taken, detector="profile", gain=1.5, read_noise=8)[0].value == 1.5
    with pytest.raises(ValueError, match="detector is 'best'; expected one of auto, header, measure, profile"):
        planned(taken, detector="best")


def test_a_setting_that_nothing_contradicts_is_doubted(night):
    taken = night(GAIN=(139, "[e-/ADU]"), RDNOISE=8.0)
    taken.biases(1)
    taken.science()
    gain, _, _ = planned(taken)
    assert gain.value == 139
    assert "139 is the setting of a camera, and not its gain in electron/adu" in gain.alarm


def test_stacks_that_nothing_names_are_found_by_the_sky(night):
    taken = night()
    silent_stacks(taken)
    gain, _, _ = planned(taken)
    assert "of what is predicted with it; give --gain" in gain.alarm


@pytest.mark.long
def test_a_real_header_that_is_wrong(lisbon):
    gain, noise = make_plan(lisbon, "generic", detector="auto").numbers
    # Variances of differences of flats: 2.336 electron/adu; of biases: 6.40 adu. The headers say 1.5.
    assert abs(gain.value - 2.336) < gain.uncertainty < 0.03 * gain.value
    assert noise.value / gain.value == pytest.approx(6.40, rel=0.01)
    assert "the gain in the headers, 1.5 electron/adu, is wrong by -35" in gain.alarm


@pytest.mark.long
def test_a_crowded_field_does_not_contradict_a_gain_that_was_measured(nickel):
    # M 13 fills d1059: only 16 of its 1024 blocks of pixels are free of stars.
    names = ("d1001", "d1002", "d1003", "d1035", "d1036", "d1037", "d1059")
    gain, _ = make_plan([nickel / f"{name}.fits.gz" for name in names], "nickel", detector="auto").numbers
    # Variances of differences of flats, see shared/data/README.md.
    assert gain.value == pytest.approx(1.80, abs=3 * gain.uncertainty)
    assert gain.alarm == ""


def test_a_wrong_gain_of_headers_that_only_the_sky_contradicts_stands_first_in_the_summary(night, tmp_path):
    taken = night(GAIN=0.7)
    taken.biases()
    light = taken.rng.poisson(800, SHAPE) / GAIN + taken.rng.normal(0, READ_NOISE / GAIN, SHAPE)
    taken.write("light", "LIGHT", np.rint(BIAS + light))
    summary = reduce_night(taken.directory, tmp_path / "out", progress=False, pictures=False)
    first, _, rest = str(summary).partition("\n")
    assert first == "ATTENTION"
    alarm = " ".join(rest.partition("\n\n")[0].split())
    assert "of what gain 0.7 and read noise" in alarm
    asked = float(alarm.partition("wrong, ")[2].partition(" or more by the sky")[0])
    assert asked == pytest.approx(GAIN, rel=0.04)


def test_masters_in_the_place_of_raw_frames_are_said_in_one_sentence(night):
    taken = night()
    taken.biases(2, NFRAMES=9)
    taken.flats((24_000, 30_000), NFRAMES=9)
    taken.science()
    with pytest.raises(FrameError) as error:
        planned(taken)
    (line,) = str(error.value).splitlines()
    assert "each of bias0.fits, bias1.fits, flat0.fits, flat1.fits is a stack (NFRAMES=9)" in line
    assert "--gain and --read-noise" in line


def test_science_frames_that_are_called_flats_are_said(night, tmp_path):
    taken = night(GAIN=GAIN)
    taken.biases()
    taken.science(1)
    taken.write("dusk", "LIGHT", exposed(taken.rng, 20_000), OBJECT="Sky Flat")
    # A profile with its own word for flats knows no other.
    profile = tmp_path / "camera.toml"
    profile.write_text("[flat]\nIMAGETYP = 'FLAT'\n")
    plan = make_plan(taken.directory, profile, detector="auto")
    (remark,) = [remark for remark in plan.remarks if "no flat for" in remark]
    assert "dusk.fits may be flats" in remark
    assert "object = 'Sky Flat' under [flat] in a profile" in remark


def test_a_night_that_measures_itself_reads_biases_and_flats_once(night, monkeypatch):
    taken = night()
    whole()(taken)
    again = []
    read = sample.raw_pixels
    monkeypatch.setattr(sample, "raw_pixels", lambda frame: again.append(frame.path.name) or read(frame))
    planned(taken, gain=GAIN)
    assert again == []


def test_biases_that_tell_the_read_noise_in_adu_are_not_asked_for(tmp_path):
    raw = Camera((64, 64)).night(tmp_path / "raw", flats=0)
    for path in raw.iterdir():
        for card in ("EGAIN", "RDNOISE"):
            fits.delval(path, card)
    with pytest.raises(FrameError) as caught:
        reduce_night(raw, tmp_path / "out", stars=False, pictures=False, progress=False)
    _, noise = str(caught.value).splitlines()
    assert "cannot be measured: biases tell it in adu, and the gain is not known. Give --read-noise" in noise
    assert "two raw biases" not in noise
