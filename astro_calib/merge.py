"""Make one source of noise of several, which remembers what went into it."""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.errors import NoiseWarning
from astro_calib.factored import Factored
from astro_calib.identity import content_digest
from astro_calib.source import Constituent, NoiseSource, compose_windows, draw_covariances

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.source import Window

__all__ = ["finite_mean", "merge_sources", "squared"]

#: A merged source remembers this many constituents.
MAX_CONSTITUENTS = 1000


def merge_sources(
    terms: Sequence[tuple[NoiseSource, Factored]],
    shape: tuple[int, ...],
    name: str,
    dtype: Any = np.float64,
    inflation: float | NDArray[Any] = 1.0,
) -> tuple[NoiseSource, Factored]:
    r"""
    Make one source of several that vary along the same axes, remembering what went into it.

    Parameters
    ----------
    terms : sequence of (NoiseSource, Factored)
        The sources and their coefficients in the sum.
    shape : tuple of int
        Shape of the frame.
    name : str
        Name of the result.
    dtype : dtype
        Floating type of a variance array.
    inflation : float or ndarray
        Factor by which the variance exceeds that of the linear sum; that of a median, for example.

    Returns
    -------
    source : NoiseSource
        With variance :math:`\sum_k c_k^2 v_k` times ``inflation``.
    coefficient : Factored
        What all coefficients have in common, so that the variance often stays a number.
    """
    axes = terms[0][0].axes
    common = terms[0][1]
    ratios = [coefficient.ratio_to(common) for _, coefficient in terms]
    whole = len(axes) == len(shape)
    plain = not np.ndim(inflation) or whole
    if plain and all(ratio is not None for ratio in ratios):
        weights = [Factored(float(ratio or 0.0)) for ratio in ratios]
    elif whole:
        weights, common = [coefficient for _, coefficient in terms], Factored(1.0)
    else:
        # The coefficients vary within a cell, each in its own way: the cells get mean weights, and a common
        # coefficient that keeps the variance of each pixel what it is.
        weights = [Factored(_mean(coefficient)) for _, coefficient in terms]
        exact = sum(squared(coefficient, source) for source, coefficient in terms)
        inner = sum(squared(weight, source) for weight, (source, _) in zip(weights, terms, strict=True))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.sqrt(np.asarray(exact * inflation / inner))
        common = Factored(np.array(np.broadcast_to(np.where(np.isfinite(ratio), ratio, 0), shape), dtype=dtype))
        inflation = 1.0
    parts = [squared(weight, source) for weight, (source, _) in zip(weights, terms, strict=True)]
    total = sum(parts[1:], parts[0])
    # What of the sum goes with each source: its own weight, and those of its relatives as far as they go with it.
    regression = [_mean(weight) for weight in weights]
    for index, (a, _) in enumerate(terms):
        for other, (b, _) in enumerate(terms[index + 1 :], start=index + 1):
            for covariance in draw_covariances(a, b, shape):
                total = total + 2 * covariance * weights[index].evaluate() * weights[other].evaluate()
                mean = finite_mean(covariance)
                regression[index] += _mean(weights[other]) * mean / finite_mean(a.variance.evaluate())
                regression[other] += _mean(weights[index]) * mean / finite_mean(b.variance.evaluate())
    total = total * inflation
    variance = Factored(float(total)) if np.ndim(total) == 0 else Factored(np.asarray(total, dtype=dtype))
    constituents = _constituents(terms, weights, parts, finite_mean(total))
    for (member, _), weight in zip(terms, regression, strict=True):
        entry = constituents.get((member.identity, member.window))
        if entry is not None:
            constituents[member.identity, member.window] = Constituent(weight, entry.share)
    # Stacks of the same frames with other pixels left out are other noise: the arrays count, not their means.
    text = repr(sorted((*key, *numbers) for key, numbers in constituents.items()))
    for value in (*(weight.evaluate() for weight in weights), total):
        text += content_digest(np.asarray(value)) if np.ndim(value) else repr(float(value))
    identity = "stack:" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    source = NoiseSource(name, variance, axes, identity=identity, constituents=constituents)
    return source, common


def squared(coefficient: Factored, source: NoiseSource) -> Any:
    """Part of a variance; 0 where the coefficient is 0, whatever the source's variance is there."""
    c, v = coefficient.evaluate(), source.variance.evaluate()
    with np.errstate(invalid="ignore"):
        return np.square(c) * v if np.ndim(c) == 0 else np.where(c != 0, np.square(c) * v, 0)


def _constituents(
    terms: Sequence[tuple[NoiseSource, Factored]],
    weights: Sequence[Factored],
    parts: Sequence[float | NDArray[Any]],
    total: float,
) -> dict[tuple[str, Window], Constituent]:
    """The sources that went in, and those that had gone into them, with weights and shares."""
    result: dict[tuple[str, Window], Constituent] = {}
    for (source, _), weight, part in zip(terms, weights, parts, strict=True):
        mean_weight = _mean(weight)
        share = finite_mean(part) / total if total > 0 else 0.0
        inner = sum(constituent.share for constituent in source.constituents.values())
        entries = {(source.identity, source.window): Constituent(mean_weight, share * max(0.0, 1.0 - inner))}
        for (identity, window), constituent in source.constituents.items():
            entries[identity, compose_windows(window, source.window)] = Constituent(
                mean_weight * constituent.weight, share * constituent.share
            )
        for key, entry in entries.items():
            result[key] = _joined(result[key], entry) if key in result else entry
    if len(result) > MAX_CONSTITUENTS:
        msg = (
            f"a stack remembers {MAX_CONSTITUENTS} of its {len(result)} constituents, those with the largest part "
            "of its "
            "variance; noise that it shares with frames that hold one of the others counts as independent."
        )
        warnings.warn(msg, NoiseWarning, stacklevel=5)
        largest = sorted(result, key=lambda key: result[key].share, reverse=True)[:MAX_CONSTITUENTS]
        result = {key: result[key] for key in largest}
    return result


def _joined(a: Constituent, b: Constituent) -> Constituent:
    """One constituent on two paths: its amplitudes add."""
    amplitude = np.sqrt(a.share) * np.sign(a.weight) + np.sqrt(b.share) * np.sign(b.weight)
    return Constituent(a.weight + b.weight, float(amplitude**2))


def _mean(coefficient: Factored) -> float:
    return finite_mean(coefficient.evaluate())


def finite_mean(value: float | NDArray[Any]) -> float:
    """The mean over finite values; 0 if there are none."""
    if np.ndim(value) == 0:
        return float(value)
    finite = np.isfinite(value)
    return float(np.mean(value, where=finite, dtype=np.float64)) if np.any(finite) else 0.0
