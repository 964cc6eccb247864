"""
Frames by brute force, to judge `CCDFrame` by.

Beside each frame stands the derivative of each of its pixels with respect to each elementary draw of noise (each cell
of each source), as a dense matrix J. The rules of calculus are written out here once more, draw by draw, with nothing
of the package; variances and covariances are then products of matrices, J diag(v) J'.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import astropy.units as u
import numpy as np

#: How often an operation rounds a datum or a coefficient: a product of up to four factors, their conversions, a sum.
ROUNDINGS = 8


class Noise:
    """Draws of noise that are independent of each other and of all others, with the variance of each."""

    def __init__(self, variance):
        self.variance = np.ravel(np.asarray(variance, dtype=float))


@dataclass(frozen=True)
class LinearModel:
    """
    What a frame should be.

    `jacobian` holds dz/de, shape (ny, nx, draws), for each `Noise`. `size` and `largest` are the data and the jacobian
    with all terms of sums taken as positive, because rounding errors are relative to them; `epsilon` is that of the
    shortest type that the frame was calculated in, and `depth` how many operations lie behind it.
    """

    value: np.ndarray
    unit: u.UnitBase
    dtype: Any
    jacobian: dict = field(default_factory=dict)
    mask: np.ndarray = None
    flags: np.ndarray = None
    size: np.ndarray = None
    largest: dict = None
    epsilon: float = None
    depth: int = 1

    def __post_init__(self):
        defaults = {
            "mask": np.zeros(np.shape(self.value), bool),
            "flags": np.zeros(np.shape(self.value), np.uint16),
            "size": np.abs(self.value),
            "largest": {noise: np.abs(derivative) for noise, derivative in self.jacobian.items()},
            "epsilon": float(np.finfo(self.dtype).eps),
        }
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    @classmethod
    def exact(cls, value):
        """A number, an array or a Quantity without error."""
        quantity = u.Quantity(value, dtype=float)
        dtype = value.dtype if np.ndim(value) else np.dtype(float)
        return cls(quantity.value, quantity.unit, dtype, epsilon=0.0)

    @property
    def shape(self):
        """Of the frame."""
        return self.value.shape

    # -- calculus ------------------------------------------------------------------------------------------------

    def _sum(self, other, sign):
        other = other if isinstance(other, LinearModel) else self.exact(other)
        factor = sign * other.unit.to(self.unit)
        value = self.value + factor * other.value
        size = self.size + abs(factor) * other.size
        result = _chained(value, size, self.unit, [(self, 1.0, 1.0), (other, factor, abs(factor))])
        if other.jacobian:
            return result
        # A derivative that depends on the data, as that with respect to a divisor does, is rounded as they are.
        growth = np.divide(size, self.size, where=self.size > 0, out=np.ones(size.shape))[..., None]
        return replace(result, largest={noise: bound * growth for noise, bound in result.largest.items()})

    def __add__(self, other):
        return self._sum(other, 1)

    def __sub__(self, other):
        return self._sum(other, -1)

    def __neg__(self):
        return self * -1.0

    def __mul__(self, other):
        other = other if isinstance(other, LinearModel) else self.exact(other)
        parts = [(self, other.value, other.size), (other, self.value, self.size)]
        return _chained(self.value * other.value, self.size * other.size, self.unit * other.unit, parts)

    def __truediv__(self, other):
        other = other if isinstance(other, LinearModel) else self.exact(other)
        value, inverse = self.value / other.value, other.size / other.value**2
        size = self.size * inverse
        parts = [(self, 1 / other.value, inverse), (other, -value / other.value, size * inverse)]
        return _chained(value, size, self.unit / other.unit, parts)

    def __radd__(self, other):
        return self.exact(other) + self

    def __rsub__(self, other):
        return self.exact(other) - self

    def __rmul__(self, other):
        return self.exact(other) * self

    def __rtruediv__(self, other):
        return self.exact(other) / self

    #: Arrays and Quantities leave the operators to this class.
    __array_ufunc__ = None

    def convert_unit_to(self, unit):
        """The frame in another unit."""
        return replace(self * float(self.unit.to(unit)), unit=u.Unit(unit))

    def __getitem__(self, item):
        return replace(
            self,
            **{name: getattr(self, name)[item] for name in ("value", "size", "mask", "flags")},
            **{name: {noise: m[item] for noise, m in getattr(self, name).items()} for name in ("jacobian", "largest")},
        )

    # -- what follows from it ------------------------------------------------------------------------------------

    @property
    def rounding(self):
        """Relative rounding error of the data and of each derivative."""
        return ROUNDINGS * (self.depth + 1) * self.epsilon

    def variance(self):
        """The variance of each pixel, and its rounding error."""
        return covariance(self, self)

    def variance_of_sum(self, weights):
        """The variance of a weighted sum over pixels, w' J diag(v) J' w, and its rounding error."""
        exact = scale = 0.0
        for noise, matrix in self.jacobian.items():
            exact += np.tensordot(weights, matrix, axes=weights.ndim) ** 2 @ noise.variance
            largest = np.tensordot(np.abs(weights), self.largest[noise], axes=weights.ndim)
            scale += largest**2 @ np.abs(noise.variance)
        return float(exact), float(2 * self.rounding * scale)


def covariance(a, b):
    """The covariance of two frames at each pixel, J_a diag(v) J_b', and its rounding error."""
    exact, scale = np.zeros(a.shape), np.zeros(a.shape)
    for noise in a.jacobian.keys() & b.jacobian.keys():
        exact += (a.jacobian[noise] * b.jacobian[noise]) @ noise.variance
        scale += (a.largest[noise] * b.largest[noise]) @ np.abs(noise.variance)
    return exact, (a.rounding + b.rounding) * scale


def mean_of_used(models, unfit):
    """The mean of the values that are neither masked nor flagged as unfit; of all where no value is left."""
    used = np.array([~model.mask & ((model.flags & unfit) == 0) for model in models])
    empty = ~used.any(axis=0)
    used |= empty
    weights = used / used.sum(axis=0)
    terms = [
        replace(LinearModel.exact(weight), dtype=model.dtype) * model
        for weight, model in zip(weights, models, strict=True)
    ]
    flags = [np.where(kept, model.flags, np.uint16(0)) for kept, model in zip(used, models, strict=True)]
    return replace(sum(terms[1:], start=terms[0]), mask=empty, flags=np.bitwise_or.reduce(flags))


def _chained(value, size, unit, parts):
    """The chain rule; ``parts`` are the operands, the derivatives with respect to them, and the sizes of these."""
    shape = value.shape
    jacobian, largest = {}, {}
    for operand, derivative, derivative_size in parts:
        for total, inner, outer in (
            (jacobian, operand.jacobian, derivative),
            (largest, operand.largest, derivative_size),
        ):
            for noise, matrix in inner.items():
                total[noise] = total.get(noise, 0) + np.broadcast_to(outer, shape)[..., None] * matrix
    operands = [operand for operand, _, _ in parts]
    # A number does not turn float32 into float64.
    types = [operand.dtype for operand in operands if operand.shape or not shape]
    mask, flags = False, np.uint16(0)
    for operand in operands:
        mask, flags = mask | operand.mask, flags | operand.flags
    return LinearModel(
        value,
        unit,
        np.result_type(*types),
        jacobian,
        np.broadcast_to(mask, shape),
        np.broadcast_to(flags, shape),
        size,
        largest,
        max(operand.epsilon for operand in operands),
        1 + max(operand.depth for operand in operands),
    )
