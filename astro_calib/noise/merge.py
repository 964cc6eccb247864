"""Make one source of noise of several, which remembers what went into it."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.detector.correlation import averaged
from astro_calib.errors import NoiseWarning, warn
from astro_calib.estimators.correlated import correlation_of_result
from astro_calib.noise.arrays import finite_mean
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.identity import content_digest
from astro_calib.noise.mosaic import as_mosaic
from astro_calib.noise.sharing import draw_covariances
from astro_calib.noise.source import Constituent, NoiseSource
from astro_calib.noise.window import compose_windows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from astro_calib.detector.correlation import Correlation
    from astro_calib.noise.arrays import ArrayRef, SurvivorMask
    from astro_calib.noise.window import Window

__all__ = ["constituents_of", "differ_by_regions", "merge_sources", "squared", "variances_in_sample", "without_arrays"]

#: A merged source remembers this many constituents.
MAX_CONSTITUENTS = 1000
#: Values of all frames, and rows, from which it is told what they have in common at all pixels.
SAMPLED_VALUES, FEWEST_ROWS = 1 << 17, 16
#: Less than this part of the variance that distant pixels have not in common does not matter.
NEGLIGIBLE = 1e-3
#: Pixels that are summed up at a time, so that the sum stays in the cache.
BLOCK = 1 << 17


def merge_sources(
    terms: Sequence[tuple[NoiseSource, Coefficient]],
    shape: tuple[int, ...],
    name: str,
    dtype: Any = np.float64,
    variance_factor: float | NDArray[Any] = 1.0,
    remembered: Sequence[Coefficient] | None = None,
    share: float = 1.0,
) -> tuple[NoiseSource, Coefficient]:
    r"""
    Make one source of several that vary along the same axes, remembering what went into it.

    Parameters
    ----------
    terms : sequence of (NoiseSource, Coefficient)
        The sources and their coefficients in the sum.
    shape : tuple of int
        Shape of the frame.
    name : str
        Name of the result.
    dtype : dtype
        Floating type of a variance array.
    variance_factor : float or ndarray
        Factor by which the variance exceeds that of the linear sum; that of a median, for example.
    remembered : sequence of Coefficient, optional
        Instead of the coefficients what the result remembers of them, if that takes less memory.
    share : float
        The part that these sources have of all noise that the factor is for.

    Returns
    -------
    source : NoiseSource
        With variance :math:`\sum_k c_k^2 v_k` times ``variance_factor``.
    coefficient : Coefficient
        What all coefficients have in common, so that the variance often stays a number.
    """
    axes = terms[0][0].axes
    common = terms[0][1]
    ratios = [coefficient.ratio_to(common) for _, coefficient in terms]
    whole = len(axes) == len(shape)
    plain = not np.ndim(variance_factor) or whole
    if plain and remembered is None and all(ratio is not None for ratio in ratios):
        weights = [Coefficient(float(ratio or 0.0)) for ratio in ratios]
    elif whole:
        weights, common = [coefficient for _, coefficient in terms], Coefficient(1.0)
    else:
        # The coefficients vary within a cell, each in its own way: the cells get mean weights, and a common
        # coefficient that keeps the variance of each pixel what it is.
        weights, remembered = [Coefficient(_mean(coefficient)) for _, coefficient in terms], None
        exact = sum(squared(coefficient, source) for source, coefficient in terms)
        inner = sum(squared(weight, source) for weight, (source, _) in zip(weights, terms, strict=True))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.sqrt(np.asarray(exact * variance_factor / inner))
        common = Coefficient(np.array(np.broadcast_to(np.where(np.isfinite(ratio), ratio, 0), shape), dtype=dtype))
        variance_factor = 1.0
    members = [source for source, _ in terms]
    linear, means = sum_of_squares(list(zip(members, weights, strict=True)), shape, dtype)
    # What of the sum goes with each source: its own weight, and those of its relatives as far as they go with it.
    shares = list(weights if remembered is None else remembered)
    with_relatives = list(shares)
    related = False
    for index, (a, _) in enumerate(terms):
        for other, (b, _) in enumerate(terms[index + 1 :], start=index + 1):
            for draws in draw_covariances(a, b, shape):
                related = True
                covariance = draws((slice(None),) * len(shape))
                linear = linear + 2 * covariance * weights[index].evaluate() * weights[other].evaluate()
                mean = finite_mean(covariance)
                with_relatives[index] += shares[other] * (mean / means[a.variance])
                with_relatives[other] += shares[index] * (mean / means[b.variance])
    unchanged = np.ndim(variance_factor) == 0 and variance_factor == 1
    total = linear if unchanged else linear * variance_factor
    found_from = [field for member in members for field in member.variance.arrays]
    found_from += [field for weight in weights for field in weight.arrays]
    simple = np.ndim(variance_factor) == 0 and not related
    variance = _in_few_numbers(total, axes, dtype, found_from if simple else ())
    constituents = constituents_of(members, shares, means)
    for (member, _), weight in zip(terms, with_relatives, strict=True):
        entry = constituents[member.identity, member.window]
        if weight != entry.weight:
            constituents[member.identity, member.window] = entry._replace(weight=weight)
    whole_mean = finite_mean(total)
    linear_part = 1.0 if unchanged or not whole_mean > 0 else finite_mean(linear) / whole_mean
    part = min(linear_part, 1.0)
    constituents, remembered_part = _largest(constituents)
    # Stacks of the same frames with other pixels left out are other noise: the arrays count, not their means.
    known: dict[ArrayRef, str] = {}
    text = repr(sorted((*key, one.weight.digest(known)) for key, one in constituents.items()))
    text += content_digest(np.asarray(total)) if np.ndim(total) else repr(float(total))
    identity = "stack:" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    source = NoiseSource(
        name, variance, axes, identity=identity, constituents=constituents, linear=part * remembered_part
    )
    if any(member.correlation is not None for member in members):
        weighted = list(zip(members, weights, strict=True))
        source = source.replace(correlation=_correlation(weighted, shape, 1 / linear_part, share))
    return source, common


def _in_few_numbers(total: Any, axes: tuple[int, ...], dtype: Any, found_from: Sequence[ArrayRef]) -> Coefficient:
    """A variance that is constant along an axis, or over sections if all is that it was found from."""
    if np.ndim(total) == 0:
        return Coefficient(float(total))
    total = np.asarray(total, dtype=dtype)
    if len(axes) < total.ndim:
        lines = tuple(slice(None) if axis in axes else slice(1) for axis in range(total.ndim))
        return Coefficient(total[lines].copy())
    mosaic = as_mosaic(total, found_from)
    return Coefficient(total) if mosaic is None else Coefficient(1.0).times(mosaic)


def _correlation(
    terms: Sequence[tuple[NoiseSource, Coefficient]], shape: tuple[int, ...], factor: float, share: float
) -> Correlation | None:
    r"""
    How the noise of a merged source goes together, on average over pixels.

    Frames are in the result by :math:`w_i(x)`. With :math:`a_i = w_i \sigma_i / \sqrt{\sum_j w_j^2 \sigma_j^2}`
    neighbours have the part :math:`\langle \sum_i a_i(x) a_i(x + 1) \rangle` of the variance in common: next to all of
    it where values are left out in regions, that of the mean weights, :math:`\sum_i \langle a_i \rangle^2`, where they
    are left out here and there.
    """
    parts, total, good = _parts_of_variance(terms, shape)
    if not good.any():
        return None
    means = parts[:, good].mean(axis=1)
    average = averaged((mean, s.correlation, s.window) for mean, (s, _) in zip(means.tolist(), terms, strict=True))
    if average is None:
        return None
    number = round(1 / float(np.square(means / means.sum()).sum()))
    return correlation_of_result(average, factor, number, _together(parts, total, good)[0], share)


def differ_by_regions(terms: Sequence[tuple[NoiseSource, Coefficient]], shape: tuple[int, ...]) -> bool:
    """Whether some sources have more of the variance in one region, others in another, and not only here and there."""
    near, far = _together(*_parts_of_variance(terms, shape))
    return far < 1 - NEGLIGIBLE and 1 - near < (1 - far) / 2


def _parts_of_variance(
    terms: Sequence[tuple[NoiseSource, Coefficient]], shape: tuple[int, ...]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """What each term adds to the variance of sampled pixels, all of them together, and which pixels count."""
    parts = variances_in_sample(terms, shape)
    total = parts.sum(axis=0)
    return parts, total, np.isfinite(total) & (total > 0)


def _together(parts: NDArray[Any], total: NDArray[Any], good: NDArray[np.bool_]) -> tuple[float, float]:
    """The part of the variance that neighbours have in common, and that which distant pixels have on average."""
    amplitudes = np.sqrt(np.divide(parts, total, where=good, out=np.zeros_like(parts)))
    pairs, number = int((good[..., 1:] & good[..., :-1]).sum()), int(good.sum())
    near = float(np.vdot(amplitudes[..., 1:], amplitudes[..., :-1])) / pairs if pairs else 1.0
    far = float(np.square(amplitudes.reshape(len(parts), -1).sum(axis=1)).sum()) / max(number, 1) ** 2
    return min(near, 1.0), far


def without_arrays(source: NoiseSource) -> NoiseSource:
    """A merged source that remembers one weight for each constituent, the mean over its pixels."""
    constituents = {
        key: one._replace(weight=Coefficient(_mean(one.weight))) for key, one in source.constituents.items()
    }
    return source.replace(constituents=constituents)


def variances_in_sample(terms: Sequence[tuple[NoiseSource, Coefficient]], shape: tuple[int, ...]) -> NDArray[Any]:
    """What each term adds to the variance of pixels of some rows, shape (n_terms, n_rows, nx)."""
    step = min(len(terms) * math.prod(shape) // SAMPLED_VALUES, shape[0] // FEWEST_ROWS)
    item = (slice(None, None, max(step, 1)), *[slice(None)] * (len(shape) - 1))
    rows = len(range(0, shape[0], max(step, 1)))
    result = np.empty((len(terms), rows, *shape[1:]))
    for part, (source, coefficient) in zip(result, terms, strict=True):
        part[...] = squared(coefficient.cut(item, shape), source.cut(item, shape))
    return result


def squared(coefficient: Coefficient, source: NoiseSource) -> Any:
    """Part of a variance; 0 where the coefficient is 0, whatever the source's variance is there."""
    c, v = coefficient.evaluate(), source.variance.evaluate()
    with np.errstate(invalid="ignore"):
        return np.square(c) * v if np.ndim(c) == 0 else np.where(c != 0, np.square(c) * v, 0)


def sum_of_squares(
    terms: Sequence[tuple[NoiseSource, Coefficient]], shape: tuple[int, ...], dtype: Any
) -> tuple[Any, dict[Coefficient, float]]:
    """
    The variance of a sum of independent terms, a number if it is one; and the mean of each source's variance.

    Each array is read once. A coefficient that is 0 counts as 0, whatever the source's variance is there.
    """
    means = {source.variance: source.variance.number for source, _ in terms if source.variance.number is not None}
    parts: dict[Coefficient, dict[Coefficient, list[tuple[float, SurvivorMask | None]]]] = {}
    others: list[tuple[NoiseSource, Coefficient]] = []
    for source, coefficient in terms:
        split = coefficient.split()
        if split is None:
            others.append((source, coefficient))
        else:
            number, kept, rest = split
            parts.setdefault(rest, {}).setdefault(source.variance, []).append((number**2, kept))
    if not others and all(
        rest.number is not None and variance in means and all(kept is None for _, kept in members)
        for rest, group in parts.items()
        for variance, members in group.items()
    ):
        return sum(squared(coefficient, source) for source, coefficient in terms), means
    from astro_calib.kernels.sums import add_many, add_scaled, add_times_square
    from astro_calib.kernels.threads import over_rows

    total = np.zeros(shape, dtype=dtype)
    sums: list[tuple[Coefficient, tuple[float, int]]] = []

    def add_rows(rows: slice) -> None:
        item = (rows, *[slice(None)] * (len(shape) - 1))
        here = total[rows]
        for rest, group in parts.items():
            scale = rest.part(item, shape)
            one = np.ndim(scale) == 0 and scale == 1
            part = here if one else np.zeros_like(here)
            alike = _alike(group, item, shape, part.shape)
            if alike:
                totals, counts = add_many(part, *alike[1:])
                sums.extend(zip(alike[0], zip(totals.tolist(), counts.tolist(), strict=True), strict=True))
            for variance, members in group.items():
                if alike and variance in alike[0]:
                    continue
                values = variance.part(item, shape)
                whole = sum(factor for factor, kept in members if kept is None)
                some = [(factor, kept) for factor, kept in members if kept is not None]
                added = add_scaled(part, values, whole) if whole else None
                if len(some) > 1:
                    # What many frames have alike is multiplied once.
                    factors = np.zeros_like(here)
                    for factor, kept in some:
                        add_scaled(factors, 1.0, factor, (kept.plane.part(item), kept.bit))
                    with np.errstate(invalid="ignore"):
                        part += np.where(factors != 0, factors * values, 0)
                elif some:
                    ((factor, kept),) = some
                    added = add_scaled(part, values, factor, (kept.plane.part(item), kept.bit))
                if variance not in means and added is not None:
                    sums.append((variance, added))
            if not one:
                add_times_square(here, part, scale)
        for source, coefficient in others:
            here += squared(coefficient.cut(item, shape), source.cut(item, shape))

    # The same blocks however many threads there are, and so the same sums to the last digit.
    block = max(1, BLOCK // max(total[0].size, 1))
    over_rows(add_rows, shape[0], len(terms) * total.size, block, multiple=block)
    found: dict[Coefficient, list[tuple[float, int]]] = {}
    for variance, sum_and_number in sums:
        found.setdefault(variance, []).append(sum_and_number)
    for variance, several in found.items():
        # Exactly, since the threads finish in any order.
        count = sum(number for _, number in several)
        means[variance] = math.fsum(added for added, _ in several) / count if count else 0.0
    for source, _ in terms:
        if source.variance not in means:
            means[source.variance] = finite_mean(source.variance.evaluate())
    return total, means


def _alike(
    group: Mapping[Coefficient, list[tuple[float, SurvivorMask | None]]],
    item: tuple[slice, ...],
    shape: tuple[int, ...],
    here: tuple[int, ...],
) -> tuple[Any, ...]:
    """
    The terms that one call can add up: arrays of their own, of one type and of the shape of the part that is asked for.

    Their variances, arrays, factors, bits, and the planes; nothing if there are fewer than two.
    """
    chosen: dict[Coefficient, tuple[NDArray[Any], float, int]] = {}
    fields: list[ArrayRef] = []
    for variance, members in group.items():
        if len(members) > 1:
            continue
        ((factor, kept),) = members
        values = variance.part(item, shape)
        if not isinstance(values, np.ndarray) or values.shape != here or not values.flags.c_contiguous:
            continue
        if chosen and values.dtype != next(iter(chosen.values()))[0].dtype:
            continue
        mark = -1
        if kept is not None:
            if kept.plane not in fields:
                fields.append(kept.plane)
            mark = 32 * fields.index(kept.plane) + kept.bit
        chosen[variance] = (values, factor, mark)
    if len(chosen) < 2:
        return ()
    planes = [field.part(item) for field in fields]
    if any(plane.dtype != np.uint32 or plane.shape != here for plane in planes):
        return ()
    arrays, factors, marks = zip(*chosen.values(), strict=True)
    stacked = np.stack(planes) if planes else np.empty((0,), dtype=np.uint32)
    return chosen.keys(), arrays, factors, marks, stacked


def constituents_of(
    sources: Sequence[NoiseSource], weights: Sequence[Coefficient], means: Mapping[Coefficient, float]
) -> dict[tuple[str, Window], Constituent]:
    """The sources that went in, whose variances have these means, and those that had gone into them."""
    result: dict[tuple[str, Window], Constituent] = {}
    for source, weight in zip(sources, weights, strict=True):
        own = means[source.variance] * (1 - source.linear if source.constituents else 1.0)
        entries = {(source.identity, source.window): Constituent(weight, own, source.correlation)}
        for (identity, window), inner in source.constituents.items():
            entries[identity, compose_windows(window, source.window)] = inner._replace(
                weight=weight.product(inner.weight)
            )
        for key, entry in entries.items():
            # One constituent on two paths: its amplitudes add.
            result[key] = entry._replace(weight=result[key].weight + entry.weight) if key in result else entry
    return result


def _largest(
    constituents: dict[tuple[str, Window], Constituent],
) -> tuple[dict[tuple[str, Window], Constituent], float]:
    """The constituents that are worth remembering, and their part of the variance of all."""
    if len(constituents) <= MAX_CONSTITUENTS:
        return constituents, 1.0
    msg = (
        f"a stack remembers {MAX_CONSTITUENTS} of its {len(constituents)} constituents, those with the largest part "
        "of its variance; noise that it shares with frames that hold one of the others counts as independent."
    )
    warn(msg, NoiseWarning)
    parts = {key: finite_mean(np.square(one.weight.evaluate())) * one.variance for key, one in constituents.items()}
    largest = sorted(parts, key=lambda key: parts[key], reverse=True)[:MAX_CONSTITUENTS]
    return {key: constituents[key] for key in largest}, sum(parts[key] for key in largest) / sum(parts.values())


def _mean(coefficient: Coefficient) -> float:
    return finite_mean(coefficient.evaluate())
