"""Frames of cameras with several amplifiers."""

import astropy.units as u
import numpy as np
import pytest

from astro_calib import Amplifier, Detector, simulate
from astro_calib.simulate import ReadOut, ReadOutTone

E_PER_ADU = u.electron / u.adu
DATA = ["[5:34,1:20]", "[35:64,1:20]", "[5:34,21:40]", "[35:64,21:40]"]
OVERSCAN = ["[1:4,1:20]", "[65:68,1:20]", "[1:4,21:40]", "[65:68,21:40]"]
CORNERS = ["lower left", "lower right", "upper left", "upper right"]
GAINS, NOISES, OFFSETS = (1.0, 1.5, 2.0, 3.0), (3.0, 5.0, 7.0, 9.0), (0.0, 10.0, -20.0, 30.0)


def detector(data=DATA, overscan=OVERSCAN, **options):
    amplifiers = [
        Amplifier(
            gain=GAINS[k] * E_PER_ADU,
            read_noise=NOISES[k] * u.electron,
            data_section=data[k],
            overscan_section=overscan[k],
            corner=CORNERS[k],
        )
        for k in range(len(data))
    ]
    return Detector(amplifiers=amplifiers, **options)


def parts(section):
    columns, rows = (part.split(":") for part in section.strip("[]").split(","))
    return tuple(slice(int(first) - 1, int(last)) for first, last in (rows, columns))


def test_each_amplifier_has_its_gain_noise_and_level():
    camera = simulate.Camera(shape=(40, 60), detector=detector(), bias_level=500, level_offsets=OFFSETS)
    rng = np.random.default_rng(1)
    frames = [camera.expose("flat", 10, filter="V", sky=200, rng=rng, integer=False) for _ in range(40)]
    data = np.stack([frame.data for frame, _ in frames])
    assert data.shape[1:] == (40, 68)
    truth = frames[0][1]
    image = data[:, :, 4:64]
    np.testing.assert_allclose(image.mean(axis=0), truth.mean, atol=5 * np.sqrt(2081 / 40))
    assert np.square(image - truth.mean).mean() == pytest.approx(
        np.mean(truth.variance / camera.image_gain**2), rel=0.01
    )
    for k in range(4):
        strip = data[(slice(None), *parts(OVERSCAN[k]))]
        assert strip.mean() == pytest.approx(500 + OFFSETS[k], abs=4 * NOISES[k] / GAINS[k] / np.sqrt(strip.size))
        assert strip.std() == pytest.approx(NOISES[k] / GAINS[k], rel=0.05)
    assert frames[0][0].meta["TRIMSEC"] == "[5:64,1:40]"
    assert "GAIN" not in frames[0][0].meta


@pytest.mark.parametrize("common", [False, True])
def test_tones_go_along_the_order_of_reading(common):
    tone = ReadOutTone(power=100.0, wx=0.5, wy=0.9)
    own = {"common_tones": [tone]} if common else {"read_out": ReadOut(white=0.1, tones=(tone,))}
    camera = simulate.Camera(shape=(40, 60), detector=detector(), bias_level=0, **own)
    frame, _ = camera.expose("bias", 0, rng=3, integer=False)
    y, x = np.mgrid[:20, :30]
    waves = np.stack([np.cos(0.5 * x + 0.9 * y).ravel(), np.sin(0.5 * x + 0.9 * y).ravel()], axis=1)
    amplitudes = []
    for k, corner in enumerate(CORNERS):
        values = frame.data[parts(DATA[k])] * GAINS[k]
        values = values[:: -1 if "upper" in corner else 1, :: -1 if "right" in corner else 1]
        fitted, residual, *_ = np.linalg.lstsq(waves, values.ravel(), rcond=None)
        assert residual[0] / 600 < (0.02 if not common else 1.1 * NOISES[k] ** 2)
        amplitudes.append(fitted)
    apart = np.abs(np.array(amplitudes) - amplitudes[0]).max()
    assert (apart < 2) if common else (apart > 2)
    total = camera.detector.amplifiers[1].read_noise.value ** 2
    assert total == pytest.approx(100 + (25 if common else 0.01))


def test_columns_of_two_amplifiers_in_turn():
    camera = simulate.Camera(
        shape=(30, 40),
        detector=detector(["[1:39:2,1:30]", "[2:40:2,1:30]"], ["[41:47:2,1:30]", "[42:48:2,1:30]"]),
        bias_level=100,
        level_offsets=(0, 50),
    )
    frame, truth = camera.expose("flat", 10, filter="V", sky=300, rng=np.random.default_rng(1), integer=False)
    assert frame.shape == (30, 48)
    means = frame.data.mean(axis=0)
    np.testing.assert_allclose(means[:40:2], 3100, rtol=0.03)
    np.testing.assert_allclose(means[1:40:2], 2150, rtol=0.03)
    np.testing.assert_allclose(means[41::2], 150, atol=4)
    np.testing.assert_allclose(truth.mean[0, :2], [3100, 2150])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overscan_columns": 4}, "say themselves where their overscans are"),
        ({"shape": (40, 61)}, "not together an imaging area of 61 columns"),
        ({"level_offsets": (1, 2)}, "one for each of 4 amplifiers"),
        ({"read_out": [ReadOut(white=3)]}, "one for each of 4 amplifiers"),
    ],
)
def test_cameras_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        simulate.Camera(**{"shape": (40, 60), "detector": detector(), **options})


def test_each_amplifier_has_its_saturation():
    amplifiers = detector().amplifiers
    full = Amplifier(**{**vars(amplifiers[0]), "saturation": 700 * u.adu})
    camera = simulate.Camera(shape=(40, 60), detector=Detector(amplifiers=[full, *amplifiers[1:]]), bias_level=500)
    frame, truth = camera.expose("flat", 10, filter="V", sky=100, rng=1)
    assert frame.data[:20, 4:34].max() == 700
    assert truth.saturated[:20, :30].all()
    assert not truth.saturated[:, 30:].any()
    with pytest.raises(ValueError, match="camera has 4 amplifiers"):
        camera.gain  # noqa: B018  it is asked for
