"""The tables of an audit: what was tried, and what was observed beside what was predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.characterize.audit.model import State, covariances, residual_on_lags, waves_of
from astro_calib.characterize.audit.sums import variance_of_sums
from astro_calib.characterize.lags import INNER, REACH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.table import Table
    from numpy.typing import NDArray

    from astro_calib.characterize.audit.samples import Evidence, Sample
    from astro_calib.characterize.audit.search import Search

__all__ = [
    "Judged",
    "apertures_table",
    "faults_table",
    "lags_table",
    "noise_table",
    "ratio_of",
    "stars_table",
    "unexplained",
]

#: An amplifier's name, what its frames say, and what was found.
Judged = tuple[str, "Evidence", "Search"]
#: Noise that differs from its prediction by this part, and by so many errors, is not right though no fault fits.
OFF, CERTAIN = 0.02, 5.0
#: Covariances of neighbours that are off by no more than this, in squared standard errors, are those of faint objects.
LIKELY = 2.0
#: Places of the lags that a table shows.
SHOWN = [(dy, dx) for dy in range(INNER + 1) for dx in range(REACH + 1) if (dy == 0 or dx == 0) and (dy, dx) != (0, 0)]


def _table(rows: Sequence[tuple[Any, ...]], columns: dict[str, tuple[Any, str | None, str]]) -> Table:
    from astropy.table import Table

    table = Table(rows=list(rows) or None, names=list(columns), dtype=[dtype for dtype, _, _ in columns.values()])
    for name, (_, unit, form) in columns.items():
        if unit:
            table[name].unit = unit
        if form:
            table[name].info.format = form
    return table


def ratio_of(sample: Sample, state: State) -> tuple[float, float]:
    """The observed noise over that of a state, and its standard error."""
    off, weight = residual_on_lags(sample, state)
    white, rest = covariances(sample, state)
    predicted = white + rest[0]
    covariance = np.linalg.inv(weight)
    excess, variance = float(off[0]), float(covariance[0, 0])
    if sample.unseen and off[1:] @ np.linalg.solve(covariance[1:, 1:], off[1:]) < LIKELY * len(off):
        # Faint objects that add to the noise of a pixel are in its neighbours as well.
        excess, variance = excess + float(weight[0, 1:] @ off[1:] / weight[0, 0]), float(1 / weight[0, 0])
    ratio = float(np.sqrt(max(1 + excess / predicted, 0.0)))
    return ratio, float(np.sqrt(variance) / predicted / (2 * max(ratio, 0.1)))


def unexplained(evidence: Evidence, search: Search) -> tuple[float, float] | None:
    """The noise over its prediction, with its error, of a difference that is off though no fault was named."""
    if search.named or evidence.clamp is not None:
        return None
    ratios = [ratio_of(sample, State()) for sample in evidence.samples]
    off = [pair for pair in ratios if abs(pair[0] - 1) > max(OFF, CERTAIN * pair[1])]
    return max(off, key=lambda pair: abs(pair[0] - 1), default=None)


def faults_table(judged: Sequence[Judged]) -> Table:
    """A row for each fault that was tried."""
    rows = []
    for name, evidence, search in judged:
        chosen = [one for group in search.named for one in group]
        sure = {group[0].fault.name for group in search.named if len(group) == 1}
        perhaps = {one.fault.name for one in chosen} - sure
        if evidence.clamp is not None:
            pile = evidence.clamp
            rows.append((name, "clamp", pile.size, pile.uncertainty, pile.unit, pile.likelihood, "yes"))
        if (stars := evidence.stars) is not None:
            ratio, error = stars.ratio
            likelihood = ((ratio - 1) / error) ** 2 / 2
            rows.append((name, "stars", ratio - 1, error, "", likelihood, "yes" if stars.off else "no"))
        if (found := unexplained(evidence, search)) is not None:
            likelihood = ((found[0] - 1) / found[1]) ** 2 / 2
            rows.append((name, "unexplained", found[0] - 1, found[1], "", likelihood, "yes"))
        # What was found last has its size beside the others.
        at_last = {one.fault.name: one for one in chosen}
        for one in search.tried:
            shown = at_last.get(one.fault.name, one)
            word = "yes" if one.fault.name in sure else "perhaps" if one.fault.name in perhaps else "no"
            # A fault that is not there gains nothing, also where rounding makes that less.
            gain = max(shown.likelihood, 0.0)
            rows.append((name, one.fault.name, shown.size + 0.0, shown.uncertainty, one.fault.unit, gain, word))
    columns: dict[str, tuple[Any, str | None, str]] = {
        "amplifier": (str, None, ""),
        "fault": (str, None, ""),
        "size": (float, None, ".4g"),
        "error": (float, None, ".2g"),
        "unit": (str, None, ""),
        "likelihood": (float, None, ".1f"),
        "named": (str, None, ""),
    }
    return _table(rows, columns)


def noise_table(judged: Sequence[Judged]) -> Table:
    """A row for each difference of frames, or part of one."""
    rows = []
    for name, evidence, search in judged:
        for sample in evidence.samples:
            ratio, error = ratio_of(sample, State())
            predicted = float(np.sqrt(sample.predicted / sample.reads))
            after, _ = ratio_of(sample, search.state)
            rows.append(
                (name, sample.kind, sample.level, ratio * predicted, predicted, ratio, error, after, sample.outliers)
            )
    columns: dict[str, tuple[Any, str | None, str]] = {
        "amplifier": (str, None, ""),
        "kind": (str, None, ""),
        "level": (float, "electron", ".5g"),
        "observed": (float, "electron", ".4g"),
        "predicted": (float, "electron", ".4g"),
        "ratio": (float, None, ".3f"),
        "error": (float, None, ".3f"),
        "with_faults": (float, None, ".3f"),
        "outliers": (float, None, ".2g"),
    }
    return _table(rows, columns)


def lags_table(judged: Sequence[Judged]) -> Table:
    """The covariances along a row and across rows, of the mean over the samples of a kind."""
    rows = []
    for name, evidence, search in judged:
        for kind in sorted(evidence.kinds):
            samples = [sample for sample in evidence.samples if sample.kind == kind]
            weights = np.array([sample.pixels * sample.draws for sample in samples])
            means = np.average([sample.lags / sample.lags[0] for sample in samples], axis=0, weights=weights)
            predicted, after = (
                np.average([_lags_of(sample, state) for sample in samples], axis=0, weights=weights)
                for state in (State(), search.state)
            )
            for dy, dx in SHOWN:
                number = 2 if dy and dx else 1
                error = 1 / np.sqrt(weights.sum() * number)
                found = (float(lags[dy * (REACH + 1) + dx]) for lags in (means, predicted, after))
                rows.append((name, kind, dy, dx, *found, float(error)))
    columns: dict[str, tuple[Any, str | None, str]] = {
        "amplifier": (str, None, ""),
        "kind": (str, None, ""),
        "dy": (int, None, ""),
        "dx": (int, None, ""),
        "covariance": (float, None, ".4f"),
        "predicted": (float, None, ".4f"),
        "with_faults": (float, None, ".4f"),
        "error": (float, None, ".4f"),
    }
    return _table(rows, columns)


def _lags_of(sample: Sample, state: State) -> NDArray[np.float64]:
    """The covariances that a state has, in parts of the variance."""
    white, rest = covariances(sample, state)
    return rest / (white + rest[0])


def apertures_table(judged: Sequence[Judged]) -> Table:
    """The noise of sums over empty apertures."""
    rows = []
    for name, evidence, search in judged:
        for sample in evidence.samples:
            for sums in sample.sums:
                predicted, found = (_predicted_sums(sums.radius, sample, state) for state in (State(), search.state))
                ratio = float(np.sqrt(sums.variance / predicted))
                error = ratio * sums.uncertainty / (2 * sums.variance)
                observed = float(np.sqrt(sums.variance))
                with_faults = float(np.sqrt(sums.variance / found))
                rows.append((name, sums.radius, observed, float(np.sqrt(predicted)), ratio, error, with_faults))
    columns: dict[str, tuple[Any, str | None, str]] = {
        "amplifier": (str, None, ""),
        "radius": (float, "pixel", "g"),
        "observed": (float, "electron", ".4g"),
        "predicted": (float, "electron", ".4g"),
        "ratio": (float, None, ".3f"),
        "error": (float, None, ".3f"),
        "with_faults": (float, None, ".3f"),
    }
    return _table(rows, columns)


def _predicted_sums(radius: float, sample: Sample, state: State) -> float:
    white, _ = covariances(sample, state)
    stated = () if sample.correlation is None else waves_of(sample.correlation)
    variance = state.read * state.shared * sample.correlated
    scaled = [wave._replace(power=variance / sample.reads * wave.power) for wave in stated]
    return variance_of_sums(radius, white / sample.reads, state, scaled)


def stars_table(judged: Sequence[Judged]) -> Table:
    """The stars of a series, each with its scatter and its error."""
    rows: list[tuple[Any, ...]] = []
    for _, evidence, _ in judged:
        if (stars := evidence.stars) is not None:
            columns = (stars.x, stars.y, stars.flux, stars.scatter, stars.error, stars.scatter / stars.error)
            rows += [tuple(map(float, row)) for row in zip(*columns, strict=True)]
    return _table(
        rows,
        {
            "x": (float, "pixel", ".2f"),
            "y": (float, "pixel", ".2f"),
            "flux": (float, "electron", ".5g"),
            "scatter": (float, "electron", ".4g"),
            "error": (float, "electron", ".4g"),
            "ratio": (float, None, ".3f"),
        },
    )
