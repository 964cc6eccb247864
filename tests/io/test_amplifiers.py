"""Frames of several amplifiers in files."""

import asdf
import astropy.units as u
import numpy as np
import pytest

from astro_calib import Amplifier, CCDFrame, Correlation, Detector, UncertaintyBudget, calibrate, combine, covariance
from astro_calib.errors import FrameError
from astro_calib.io.budget_reader import budget_of_tree
from astro_calib.io.tree import budget_tree
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.mosaic import MosaicArray
from astro_calib.noise.source import NoiseSource

E_PER_ADU = u.electron / u.adu
SIDE = 128
QUADRANTS = ["[1:64,1:64]", "[65:128,1:64]", "[1:64,65:128]", "[65:128,65:128]"]
IN_TURN = ["[1:127:2,1:128]", "[2:128:2,1:128]"]
PICKUP = Correlation(0.2, [(0.3, 1.0, 0.4)])


def camera(sections, correlation):
    common = {"gain_uncertainty": 0.02 * E_PER_ADU, "correlation": correlation}
    if sections is None:
        return Detector(gain=1.5 * E_PER_ADU, read_noise=5 * u.electron, **common)
    corners = ["lower left", "lower right", "upper left", "upper right"]
    amplifiers = [
        Amplifier(gain=(1 + k / 4) * E_PER_ADU, read_noise=(4 + k) * u.electron, data_section=section, **common)
        for k, section in enumerate(sections)
    ]
    amplifiers = [
        Amplifier(**{**vars(one), "corner": corner}) for one, corner in zip(amplifiers, corners, strict=False)
    ]
    return Detector(amplifiers=amplifiers)


def image(rng, sections, correlation=None, **how):
    """A calibrated frame, with an overscan of each amplifier."""
    detector = camera(sections, correlation)
    raw = CCDFrame(np.rint(1100 + 5 * rng.standard_normal((SIDE, SIDE))).astype(np.uint16), unit="adu")
    rows = SIDE if sections is None or len(sections) < 4 else SIDE // 2
    strips = [
        CCDFrame(np.rint(1000 + 5 * rng.standard_normal((rows, 16))).astype(np.uint16), unit="adu")
        for _ in detector.amplifiers
    ]
    return calibrate(raw, detector, overscan=strips, **how)


CUTS = {
    "whole": lambda frame: frame,
    "cut": lambda frame: frame[20:100, 30:90],
    "turned": lambda frame: frame[::-1, ::-2],
    "stack": lambda frame: combine([frame, frame * 2]),
}


@pytest.mark.parametrize("ending", ["fits", "asdf"])
@pytest.mark.parametrize("how", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("correlation", [None, PICKUP], ids=["white", "tones"])
@pytest.mark.parametrize(
    "sections", [QUADRANTS, pytest.param(IN_TURN, marks=pytest.mark.long)], ids=["quadrants", "in turn"]
)
@pytest.mark.filterwarnings("ignore:.*the same noise.*")
def test_amplifiers_come_back_exactly(tmp_path, ending, how, correlation, sections):
    rng = np.random.default_rng(1)
    one = image(rng, sections, correlation, overscan_axis=1)
    frame = combine([one, image(rng, sections, correlation, overscan_axis=1)]) if how is CUTS["stack"] else how(one)
    frame.write(tmp_path / f"frame.{ending}")
    again = CCDFrame.read(tmp_path / f"frame.{ending}")
    weights = rng.standard_normal(frame.shape)
    assert again.budget.variances_of_sum(weights) == pytest.approx(frame.budget.variances_of_sum(weights), rel=1e-5)
    for (source, coefficient), (other, same) in zip(again.budget.terms, frame.budget.terms, strict=True):
        assert source.key == other.key
        assert coefficient.arrays == [] or coefficient.depends_on_own or coefficient == same
    np.testing.assert_allclose(covariance(frame, again), frame.variance, rtol=1e-4)


@pytest.mark.parametrize("ending", ["fits", "asdf"])
@pytest.mark.parametrize("axis", [pytest.param((0, 1), marks=pytest.mark.long), 1])
def test_several_amplifiers_are_as_compact_as_one(tmp_path, ending, axis):
    sizes = {}
    for sections in (None, QUADRANTS, IN_TURN):
        rng = np.random.default_rng(2)
        frames = [image(rng, sections, PICKUP, overscan_axis=axis) for _ in range(2)]
        for name, frame in (("frame", frames[0]), ("stack", combine(frames))):
            path = tmp_path / f"{name}.{ending}"
            frame.write(path, overwrite=True)
            sizes.setdefault(name, []).append(path.stat().st_size)
    for one, *several in sizes.values():
        # An array of the frame's size has 64 kB.
        assert max(several) < one + 32_000


def tree_of_a_mosaic():
    field = MosaicArray.of_sections([np.s_[:, ::2], np.s_[:, 1::2]], [1.0, 2.0], (4, 6))
    return budget_tree(UncertaintyBudget((4, 6), [(NoiseSource("read noise", 25.0), Coefficient(1.0).times(field))]))


def test_older_readers_refuse_what_they_do_not_know():
    tree = tree_of_a_mosaic()
    assert tree["version"] == 4
    np.testing.assert_array_equal(budget_of_tree(tree).variance(), [[25, 100, 25, 100, 25, 100]] * 4)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": [[0, 0, 3, 1]]},
        {"rows": [[0, 0, 5, 1]]},
        {"columns": [[0, 0, 6, 1], [2, 1, 6, 2]]},
        {"columns": [[0, 0, 6, 0]]},
        {"shape": [4, 7]},
        {"mosaic": [1.0, 2.0]},
        {"dtype": "int32"},
    ],
    ids=str,
)
def test_damaged_ones_are_refused(change):
    tree = tree_of_a_mosaic()
    (entry,) = tree["fields"]
    entry.update(change)
    with pytest.raises((FrameError, TypeError)):
        budget_of_tree(tree)


def test_all_that_a_detector_knows_is_in_an_asdf_file(tmp_path):
    detectors = [
        Detector(
            amplifiers=[
                Amplifier(
                    gain=1.5 * E_PER_ADU,
                    read_noise=5 * u.electron,
                    data_section="[1:127:2,1:64]",
                    overscan_section="[129:159:2,1:64]",
                    saturation=60_000 * u.adu,
                    corner="upper right",
                    correlation=Correlation(0.1, [(0.2, 0.5, None), (0.1, 0.3, 0.2)]),
                    rows_in_overscan=False,
                ),
                Amplifier(gain=1.6 * E_PER_ADU, read_noise=5 * u.electron, data_section="[2:128:2,1:64]"),
            ]
        ),
        Detector(gain=1 * E_PER_ADU, read_noise=5 * u.electron, correlation=PICKUP, rows_in_overscan=False),
    ]
    asdf.AsdfFile({"detectors": detectors}).write_to(tmp_path / "detectors.asdf")
    with asdf.open(tmp_path / "detectors.asdf") as file:
        assert list(file["detectors"]) == detectors
