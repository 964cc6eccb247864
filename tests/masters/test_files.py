"""What frames share through a master survives files, and a master that is missing is missed."""

from __future__ import annotations

import re
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty

from astro_calib import (
    CCDFrame,
    Detector,
    NoiseSource,
    UncertaintyBudget,
    calibrate,
    combine,
    covariance,
    create_deviation,
    subtract_bias,
)
from astro_calib.errors import FrameError, NoiseWarning
from astro_calib.frame.lending import frame_in_memory, master_of
from astro_calib.io.fits import read as module_fits
from astro_calib.noise.place import path_of
from tests import processes
from tests.io.frames import Night, forget

ENDINGS = ["fits", "asdf"]
SHAPE = (12, 16)

FRESH = """
import sys, warnings
warnings.simplefilter("error")
import numpy as np
from astro_calib import CCDFrame, combine, covariance
directory, ending, number = sys.argv[1:4]
frames = [CCDFrame.read(f"{directory}/frame{i}.{ending}", masters=sys.argv[4:] or None) for i in range(int(number))]
stack = combine(frames)
print(*np.quantile(np.sqrt(stack.variance), [0, 1]), *np.quantile(covariance(*frames[:2]), [0, 1]))
"""


def in_another_process(directory, ending, number, *masters):
    """Extremes of the sigma of a stack of files, and of the covariance of the first two."""
    done = processes.run(FRESH, directory, ending, number, *masters)
    assert done.returncode == 0, done.stderr
    return [float(number) for number in done.stdout.split()]


def noisy(rng, sigma):
    sigmas = StdDevUncertainty(np.full(SHAPE, sigma, dtype=np.float32))
    return CCDFrame(rng.normal(100, sigma, SHAPE).astype(np.float32), unit="electron", uncertainty=sigmas)


def by_function(frame, master):
    return subtract_bias(frame, master)


def by_operator(frame, master):
    return frame - master


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("subtracted", "order"),
    [
        (by_function, "masters first"),
        pytest.param(by_function, "masters last", marks=pytest.mark.long),
        pytest.param(by_operator, "masters first", marks=pytest.mark.long),
    ],
)
def test_25_frames_of_sigma_5_under_one_master_of_sigma_5_average_to_5_10(tmp_path, ending, subtracted, order):
    rng = np.random.default_rng(3)
    master = noisy(rng, 5.0)
    if order == "masters first":
        master.write(tmp_path / f"master.{ending}")
    for number in range(25):
        subtracted(noisy(rng, 5.0), master).write(tmp_path / f"frame{number}.{ending}")
    if order == "masters last":
        master.write(tmp_path / f"master.{ending}")
    lowest, highest, *shared = in_another_process(tmp_path, ending, 25)
    assert lowest == pytest.approx(np.sqrt(25 / 25 + 25), rel=1e-5)
    assert highest == pytest.approx(5.10, abs=0.005)
    assert shared == pytest.approx([25, 25], rel=1e-5)


@pytest.mark.parametrize("ending", ENDINGS)
def test_stack_made_from_files_has_the_variance_of_that_made_in_memory(tmp_path, ending):
    night = Night()
    frames = [night.science() for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.write(tmp_path / f"frame{number}.{ending}")
    night.write_masters(tmp_path, ending)
    stack, shared = combine(frames), covariance(*frames[:2])
    expected = [*np.quantile(np.sqrt(stack.variance), [0, 1]), *np.quantile(shared, [0, 1])]
    assert in_another_process(tmp_path, ending, 3) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("uncertainty", [None, 0.02 * u.electron / u.adu], ids=["exact gain", "uncertain gain"])
def test_master_in_adu_is_found_although_it_was_converted_to_electrons(tmp_path, uncertainty):
    night = Night()
    camera = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron, gain_uncertainty=uncertainty)
    raw = [create_deviation(night.raw(0), camera, pedestal=1000, shot_noise=0) for _ in range(5)]
    bias = combine(raw)
    assert bias.unit == u.adu
    frames = [calibrate(night.raw(100), camera, bias=bias) for _ in range(2)]
    for number, frame in enumerate(frames):
        frame.write(tmp_path / f"frame{number}.fits")
    bias.write(tmp_path / "bias.fits")
    expected = [*np.quantile(np.sqrt(combine(frames).variance), [0, 1]), *np.quantile(covariance(*frames), [0, 1])]
    assert in_another_process(tmp_path, "fits", 2) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("ending", ENDINGS)
def test_masters_are_found_in_a_directory_that_is_given_and_under_another_name(tmp_path, ending):
    night = Night()
    (tmp_path / "masters").mkdir()
    (tmp_path / "science").mkdir()
    night.write_masters(tmp_path, ending)
    for number in range(2):
        night.science().write(tmp_path / "science" / f"frame{number}.{ending}")
    for number, name in enumerate(("bias", "dark", "flat")):
        shutil.move(tmp_path / f"{name}.{ending}", tmp_path / "masters" / f"other{number}.{ending}")
    found = in_another_process(tmp_path / "science", ending, 2, tmp_path / "masters")
    assert found[2] > 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_missing_master_is_named_and_its_noise_counts_as_independent(tmp_path, ending):
    night = Night()
    night.write_masters(tmp_path, ending)
    frames = [night.science() for _ in range(2)]
    (tmp_path / "alone").mkdir()
    for number, frame in enumerate(frames):
        frame.write(tmp_path / f"frame{number}.{ending}")
        shutil.move(tmp_path / f"frame{number}.{ending}", tmp_path / "alone")
    data, variances = [frame.data for frame in frames], [frame.variance for frame in frames]
    total, shared = variances[0] + variances[1], covariance(*frames)
    del night, frames, frame  # and what is in memory
    again = []
    for number in range(2):
        with pytest.warns(NoiseWarning, match=rf"frame{number}.*flat\.{ending}.*independent.*masters=") as warned:
            again.append(CCDFrame.read(tmp_path / "alone" / f"frame{number}.{ending}"))
        assert len(warned) == 1
        np.testing.assert_array_equal(again[number].data, data[number])
        np.testing.assert_array_equal(again[number].variance, variances[number])
    # What is left is the error of the level of the flat, which is a number and in each file.
    assert covariance(*again).max() < 0.01 * shared.min()
    np.testing.assert_allclose((again[0] - again[1]).variance, total, rtol=1e-4)
    # The same file is the same noise all the same.
    with pytest.warns(NoiseWarning):
        twin = CCDFrame.read(tmp_path / "alone" / f"frame0.{ending}")
    assert (twin - again[0]).variance.max() == 0


@pytest.mark.parametrize("ending", ENDINGS)
def test_master_with_other_pixels_of_the_same_name_is_not_taken(tmp_path, ending):
    night = Night()
    night.write_masters(tmp_path, ending)
    night.science().write(tmp_path / f"frame0.{ending}")
    del night
    Night(seed=2).write_masters(tmp_path, ending, overwrite=True)
    with pytest.warns(NoiseWarning, match="flat"):
        CCDFrame.read(tmp_path / f"frame0.{ending}")


@pytest.mark.parametrize("ending", ENDINGS)
def test_file_with_its_masters_included_needs_no_other(tmp_path, ending):
    night = Night()
    frames = [night.science() for _ in range(2)]
    for number, frame in enumerate(frames):
        frame.write(tmp_path / f"frame{number}.{ending}", include_masters=True)
    expected = [*np.quantile(np.sqrt(combine(frames).variance), [0, 1]), *np.quantile(covariance(*frames), [0, 1])]
    assert in_another_process(tmp_path, ending, 2) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("uncertainty", [None, 0.02 * u.electron / u.adu], ids=["exact gain", "uncertain gain"])
def test_noise_of_masters_is_not_written_with_each_frame(tmp_path, ending, uncertainty):
    camera = Detector(gain=2 * u.electron / u.adu, read_noise=5 * u.electron, gain_uncertainty=uncertainty)
    night = Night(shape=(200, 300), camera=camera)
    frame = night.science()
    night.write_masters(tmp_path, ending)
    frame.write(tmp_path / f"frame.{ending}")
    arrays = [array for array in (frame.data, frame.variance, frame.mask, frame.flags) if array is not None]
    bare = sum(array.nbytes for array in arrays)
    # Headers and padding of five extensions, or the text of the tree, are no more for larger frames.
    assert (tmp_path / f"frame.{ending}").stat().st_size < bare + 45000
    assert {source.name for source, _ in frame.budget.terms} >= {"bias", "dark", "flat", "read noise", "shot noise"} - {
        "bias"
    }


@pytest.mark.parametrize("ending", ENDINGS)
def test_frame_is_read_while_a_corner_of_another_is_in_memory(tmp_path, ending):
    night = Night()
    night.write_masters(tmp_path, ending)
    frames = [night.science(), night.science()[:7, :9]]
    for number, frame in enumerate(frames):
        frame.write(tmp_path / f"{number}.{ending}")
    again = [CCDFrame.read(tmp_path / f"{number}.{ending}") for number in (0, 1)]
    expected = covariance(frames[0][:7, :9], frames[1])
    np.testing.assert_allclose(covariance(again[0][:7, :9], again[1]), expected, rtol=1e-5)


@pytest.mark.parametrize("ending", ENDINGS)
def test_frame_that_was_read_is_written_without_the_noise_of_its_masters_too(tmp_path, ending):
    night = Night(shape=(100, 150))
    frame = night.science()
    night.write_masters(tmp_path, ending)
    frame.write(tmp_path / f"frame0.{ending}")
    variance = frame.variance
    del night, frame
    forget()
    (tmp_path / "other").mkdir()
    for number, name in enumerate((f"frame0.{ending}", f"other/frame0.{ending}")):
        CCDFrame.read(tmp_path / name)[:, : 150 - number].write(tmp_path / "other" / f"frame{number}.{ending}")
        forget()
    sizes = [(tmp_path / name).stat().st_size for name in (f"frame0.{ending}", f"other/frame1.{ending}")]
    assert sizes[1] < sizes[0] + 3000
    again = CCDFrame.read(tmp_path / "other" / f"frame1.{ending}")
    np.testing.assert_array_equal(again.variance, variance[:, :149])
    assert covariance(again, CCDFrame.read(tmp_path / f"frame0.{ending}")[:, :149]) == pytest.approx(again.variance)


def test_master_that_another_program_has_written_is_found(tmp_path):
    rng = np.random.default_rng(4)
    plain = CCDData(rng.normal(0, 1, SHAPE), unit="electron", uncertainty=StdDevUncertainty(np.full(SHAPE, 5.0)))
    plain.write(tmp_path / "master.fits")
    master = CCDFrame.read(tmp_path / "master.fits")
    for number in range(2):
        subtract_bias(noisy(rng, 3.0), master).write(tmp_path / f"frame{number}.fits")
    assert in_another_process(tmp_path, "fits", 2)[2:] == pytest.approx([25, 25], rel=1e-5)


def test_masters_are_told_by_name_identity_and_checksum(tmp_path):
    night = Night()
    night.write_masters(tmp_path, "fits")
    night.science().write(tmp_path / "frame.fits")
    text = fits.getdata(tmp_path / "frame.fits", "BUDGET").tobytes().decode()
    for name in ("dark", "flat"):
        header = fits.getheader(tmp_path / f"{name}.fits")
        pattern = rf'"identity":"{header["CALID"]}","name":"{name}\.fits","checksum":"\w+:24x30","file":"{name}\.fits"'
        assert re.search(pattern, text)


def test_directory_of_masters_that_does_not_exist_is_named(tmp_path):
    CCDFrame(np.ones(SHAPE), unit="adu").write(tmp_path / "frame.fits")
    with pytest.raises((FrameError, FileNotFoundError), match="nowhere"):
        CCDFrame.read(tmp_path / "frame.fits", masters=tmp_path / "nowhere")


@pytest.mark.parametrize("ending", ENDINGS)
def test_changed_pixels_of_a_master_are_noticed_when_they_are_needed(tmp_path, ending):
    night = Night()
    night.write_masters(tmp_path, ending)
    night.science().write(tmp_path / f"frame.{ending}")
    content, order = (tmp_path / f"flat.{ending}").read_bytes(), ">" if ending == "fits" else "<"
    pixels = night.flat.data[5].astype(f"{order}f4")
    assert content.count(pixels.tobytes()) == 1
    del night
    (tmp_path / f"flat.{ending}").write_bytes(content.replace(pixels.tobytes(), (pixels * 1.01).tobytes()))
    frame = CCDFrame.read(tmp_path / f"frame.{ending}")
    with pytest.raises(FrameError, match=rf"flat\.{ending}.*checksum"):
        frame.budget.variances()


@pytest.mark.parametrize("ending", ENDINGS)
def test_master_whose_budget_takes_more_than_a_look_at_its_beginning_is_found(tmp_path, ending):
    rng = np.random.default_rng(5)
    master = noisy(rng, 5.0)
    names = ["read noise", *(f"source {number}: " + "x" * 9000 for number in range(12))]
    terms = [(NoiseSource(name, 4.0), 1.0) for name in names]
    master = CCDFrame(master.data, unit="electron", budget=UncertaintyBudget(SHAPE, terms, np.float32))
    master.write(tmp_path / f"master.{ending}")
    for number in range(2):
        subtract_bias(noisy(rng, 3.0), master).write(tmp_path / f"frame{number}.{ending}")
    (tmp_path / f"master.{ending}").rename(tmp_path / f"renamed.{ending}")
    assert in_another_process(tmp_path, ending, 2)[2:] == pytest.approx([52, 52], rel=1e-5)


def test_other_files_that_say_nothing_of_themselves_are_not_read_for_a_master_that_is_missing(tmp_path, monkeypatch):
    rng = np.random.default_rng(6)
    plain = CCDData(rng.normal(0, 1, SHAPE), unit="electron", uncertainty=StdDevUncertainty(np.full(SHAPE, 5.0)))
    plain.write(tmp_path / "master.fits")
    master = CCDFrame.read(tmp_path / "master.fits")
    subtract_bias(noisy(rng, 3.0), master).write(tmp_path / "frame.fits")
    (tmp_path / "master.fits").rename(tmp_path / "raw.fits")
    del master
    forget()
    read = []
    real = module_fits.check_whole_fits
    monkeypatch.setattr(module_fits, "check_whole_fits", lambda path: read.append(path.name) or real(path))
    with pytest.warns(NoiseWarning, match=r"master\.fits"):
        CCDFrame.read(tmp_path / "frame.fits")
    assert read == ["frame.fits"]
    # It is taken where it is named.
    frame = CCDFrame.read(tmp_path / "frame.fits", masters=tmp_path / "raw.fits")
    assert covariance(frame, CCDFrame.read(tmp_path / "raw.fits")).max() == pytest.approx(-25)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_master_whose_file_was_removed_is_not_referred_to(tmp_path, ending):
    # The same noise is in another master, which is there.
    night = Night()
    for part in ("old", "new"):
        (tmp_path / part).mkdir()
    night.bias.write(tmp_path / "old" / f"bias.{ending}")
    forget()
    old = CCDFrame.read(tmp_path / "old" / f"bias.{ending}")
    subtract_bias(night.raw(0).multiply(2 * u.electron / u.adu), old)
    shutil.rmtree(tmp_path / "old")
    bias = old.subtract(1 * u.electron)
    frames = [calibrate(night.raw(500), night.camera, bias=bias) for _ in range(2)]
    bias.write(tmp_path / "new" / f"bias.{ending}")
    for number, frame in enumerate(frames):
        frame.write(tmp_path / "new" / f"frame{number}.{ending}")
    expected = covariance(*frames)
    forget()
    again = [CCDFrame.read(tmp_path / "new" / f"frame{number}.{ending}") for number in range(2)]
    np.testing.assert_allclose(covariance(*again), expected, rtol=1e-5)


@pytest.mark.long
def test_masters_are_looked_through_while_another_thread_adds_to_them():
    kept, done = [], threading.Event()

    def add():
        while not done.is_set() and len(kept) < 3000:
            kept.append(CCDFrame(np.ones((2, 2)), unit="adu"))
            master_of(kept[-1])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as pool:
            adding = pool.submit(add)
            while not adding.done():
                assert path_of("none") is None
                frames = kept[:1]
                assert all(frame_in_memory(master_of(frame)) is not None for frame in frames)
            adding.result()
    finally:
        done.set()
        sys.setswitchinterval(interval)
