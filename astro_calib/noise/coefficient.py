r"""
Arrays that are kept as products: a sensitivity coefficient or a variance without an array of its own.

After flat division every coefficient of a frame is a number times one over the flat. Writing each out would take
a full-size array for each source of noise; `Coefficient` keeps the number and a reference to the flat instead,

.. math:: c(x) = \sum_m n_m \prod_j a_{mj}(x)^{p_{mj}}

with numbers :math:`n_m`, arrays :math:`a_{mj}` that exist anyway, and whole powers :math:`p_{mj}`. One of the arrays
may be the frame's own data, ``SELF_DATA``: the coefficient of a flat is minus the data over the flat, whatever the data
are scaled by afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from astro_calib.kernels.threads import let_go
from astro_calib.noise.arrays import SELF_DATA, ArrayRef, SurvivorMask
from astro_calib.noise.sparse import added_up
from astro_calib.noise.window import along

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["Coefficient", "Factors"]

#: Beyond these a product is written out as an array, so that long chains of operations stay bounded.
MAX_MONOMIALS = 6
MAX_FACTORS = 6
#: Pixels of which a product is written out at a time.
BLOCK = 1 << 16


Factors: TypeAlias = tuple[tuple[ArrayRef, int], ...]


class Coefficient:
    """
    A number, or a sum of products of numbers and arrays; immutable.

    Parameters
    ----------
    value : float or ndarray
        A number, or an array that broadcasts to the frame. The array is referenced, not copied; it must not be
        changed afterwards.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.noise.coefficient import Coefficient
    >>> flat = np.array([[0.5, 1.0], [1.0, 2.0]])
    >>> coefficient = Coefficient(3.0).times(flat, -1)
    >>> coefficient.evaluate()
    array([[6. , 3. ],
           [3. , 1.5]])
    >>> (coefficient + coefficient * -1).is_zero
    True
    """

    __slots__ = ("_terms",)

    def __init__(self, value: float | NDArray[Any] = 1.0) -> None:
        self._terms: dict[frozenset[tuple[ArrayRef, int]], tuple[float, Factors]] = {}
        if isinstance(value, np.ndarray) and value.ndim > 0:
            if not value.dtype.isnative or (value.dtype.kind == "f" and value.dtype.itemsize not in (4, 8)):
                # As the compiled loops take it.
                value = value.astype(
                    np.float32 if value.dtype.kind == "f" and value.dtype.itemsize <= 4 else np.float64
                )
            factors: Factors = ((ArrayRef(value), 1),)
            self._terms[frozenset(factors)] = (1.0, factors)
        elif value != 0:
            self._terms[frozenset()] = (float(value), ())

    @classmethod
    def of_products(cls, terms: Iterable[tuple[float, Factors]], *, write_out: bool = True) -> Coefficient:
        """
        The sum of products; like ones are added up, and what has become too long is written out.

        Parameters
        ----------
        terms : iterable of (float, factors)
            A number, and pairs of an array and its power.
        write_out : bool
            False for a part of a sum in which products may cancel.

        Returns
        -------
        Coefficient
            The sum.
        """
        result = cls(0.0)
        for number, factors in terms:
            key = frozenset(factors)
            total = number + result._terms.get(key, (0.0, ()))[0]
            if total == 0:
                result._terms.pop(key, None)
            else:
                result._terms[key] = (total, factors)
        if write_out:
            result._write_out()
        return result

    def _write_out(self) -> None:
        """Replace what has become too long, and does not depend on the frame's own data, by an array."""
        if len(self._terms) <= MAX_MONOMIALS and all(len(key) <= MAX_FACTORS for key in self._terms):
            return
        self._terms = {frozenset(factors): (number, factors) for number, factors in added_up(self._terms.values())}
        long = [key for key in self._terms if len(key) > MAX_FACTORS]
        if len(self._terms) > MAX_MONOMIALS:
            long = list(self._terms)
        long = [key for key in long if not _power_of(SELF_DATA, self._terms[key][1])]
        if not long or (len(long) == 1 and len(long[0]) <= MAX_FACTORS):
            return
        parts = Coefficient(0.0)
        parts._terms = {key: self._terms.pop(key) for key in long}
        factors: Factors = ((ArrayRef(parts._written_out()), 1),)
        self._terms[frozenset(factors)] = (1.0, factors)

    def _written_out(self) -> NDArray[Any]:
        """The value as an array, computed in pieces that stay in the cache, by all threads."""
        shape = np.broadcast_shapes(*(field.shape for _, factors in self._terms.values() for field, _ in factors))
        rows = max(BLOCK // max(int(np.prod(shape[1:])), 1), 1)
        if not shape or shape[0] <= rows:
            return np.asarray(self.evaluate())
        from astro_calib.kernels.threads import over_rows

        def of_rows(part: slice) -> NDArray[Any]:
            return np.asarray(self.part((part, *[slice(None)] * (len(shape) - 1)), shape))

        result = np.empty(shape, dtype=of_rows(slice(0, 1)).dtype)

        def work(part: slice) -> None:
            result[part] = of_rows(part)

        over_rows(work, shape[0], result.size, rows)
        return result

    def with_at_most(self, products: int) -> Coefficient:
        """
        The same, written out as an array if it is a sum of more products without the frame's own data.

        Parameters
        ----------
        products : int
            How many products there may be.

        Returns
        -------
        Coefficient
            This one, if it has no more.
        """
        if len(self._terms) <= products or self.depends_on_own:
            return self
        return Coefficient(self._written_out())

    @property
    def is_zero(self) -> bool:
        """Whether this is exactly zero everywhere because all its terms cancelled."""
        return not self._terms

    @property
    def arrays(self) -> list[ArrayRef]:
        """The arrays that it is a product of, each as often as it is in one."""
        return [field for _, factors in self._terms.values() for field, _ in factors]

    @property
    def number(self) -> float | None:
        """The value if it is one number, else None."""
        if not self._terms:
            return 0.0
        if len(self._terms) == 1 and frozenset() in self._terms:
            return self._terms[frozenset()][0]
        return None

    def digest(self, known: dict[ArrayRef, str]) -> str:
        """
        A digest of the value, the same for products of the same arrays; the frame's own data must not be in it.

        Parameters
        ----------
        known : dict of ArrayRef to str
            Digests of arrays that were met before; it is added to.

        Returns
        -------
        str
            The same for equal values.
        """
        for _, factors in self._terms.values():
            known.update((field, field.digest()) for field, _ in factors if field not in known)
        terms = (
            f"{number!r}*{sorted((known[field], power) for field, power in factors)}"
            for number, factors in self._terms.values()
        )
        return "+".join(sorted(terms))

    def __add__(self, other: Coefficient) -> Coefficient:
        return self.of_products([*self._terms.values(), *other._terms.values()])

    def __mul__(self, factor: float) -> Coefficient:
        if factor == 1:
            return self
        return self.of_products((number * factor, factors) for number, factors in self._terms.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Coefficient) and {k: v[0] for k, v in self._terms.items()} == {
            k: v[0] for k, v in other._terms.items()
        }

    def __hash__(self) -> int:
        return hash(frozenset((key, number) for key, (number, _) in self._terms.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (tuple(self._terms.values()),)

    def __copy__(self) -> Coefficient:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Coefficient:
        return self

    @property
    def monomials(self) -> tuple[tuple[float, Factors], ...]:
        """The number and the factors of each product, to be given to `of_monomials`."""
        return tuple(self._terms.values())

    @classmethod
    def of_monomials(cls, monomials: Iterable[tuple[float, Factors]]) -> Coefficient:
        """
        A sum of products, each of a number and of factors with their powers.

        Parameters
        ----------
        monomials : iterable of (float, factors)
            As from `monomials`.

        Returns
        -------
        Coefficient
            Like products are added up.
        """
        return cls.of_products(monomials)

    @classmethod
    def of_what_is_alike(cls, coefficients: Sequence[Coefficient]) -> Coefficient:
        """
        The products that are the same in all of some coefficients.

        Parameters
        ----------
        coefficients : sequence of Coefficient
            At least one.

        Returns
        -------
        Coefficient
            Zero if there are none.
        """
        products = [{frozenset(factors): number for number, factors in one.monomials} for one in coefficients]
        return cls.of_products(
            (number, factors)
            for number, factors in coefficients[0].monomials
            if all(one.get(frozenset(factors)) == number for one in products)
        )

    def split(self) -> tuple[float, SurvivorMask | None, Coefficient] | None:
        """
        The number, the mask and the rest whose product this is; None if it is a sum, or has several masks of survivors.

        Returns
        -------
        (float, SurvivorMask or None, Coefficient) or None
            Their product is this.
        """
        if len(self._terms) != 1:
            return None
        ((number, factors),) = self._terms.values()
        kept = [field for field, _ in factors if isinstance(field, SurvivorMask)]
        if len(kept) > 1:
            return None
        rest = self.of_products(
            [(1.0, tuple((field, power) for field, power in factors if not isinstance(field, SurvivorMask)))]
        )
        return number, kept[0] if kept else None, rest

    def ratio_to(self, other: Coefficient) -> float | None:
        """
        The number that ``other`` has to be multiplied by to give this, None if there is no such number.

        Parameters
        ----------
        other : Coefficient
            The divisor.

        Returns
        -------
        float or None
            This divided by ``other``.
        """
        if self._terms.keys() != other._terms.keys() or not self._terms:
            return None
        ratios = {self._terms[key][0] / other._terms[key][0] for key in self._terms}
        return ratios.pop() if len(ratios) == 1 else None

    def times(self, value: float | NDArray[Any] | ArrayRef, power: int = 1) -> Coefficient:
        """
        This times ``value**power``; the array is referenced, not copied.

        Parameters
        ----------
        value : float, ndarray or ArrayRef
            The factor; an array broadcasts to the frame.
        power : int
            Its power.

        Returns
        -------
        Coefficient
            The product.
        """
        if not isinstance(value, ArrayRef):
            if not isinstance(value, np.ndarray) or value.ndim == 0:
                return self * float(value) ** power
            value = ArrayRef(value)
        field = value
        return self.of_products((n, _multiply(factors, ((field, power),))) for n, factors in self._terms.values())

    @property
    def nbytes(self) -> int:
        """How much memory the arrays take that are there for this."""
        return sum(field.nbytes for _, factors in self._terms.values() for field, _ in factors)

    @property
    def depends_on_own(self) -> bool:
        """Whether the frame's own data are among the factors."""
        return any(_power_of(SELF_DATA, factors) for _, factors in self._terms.values())

    def referring_to(self, data: NDArray[Any] | ArrayRef) -> Coefficient:
        """
        The coefficient with a reference to ``data``, which nobody writes into, for the frame's own data.

        Parameters
        ----------
        data : ndarray or ArrayRef
            The frame's data.

        Returns
        -------
        Coefficient
            With ``data`` as a factor where the frame's own data were one.
        """
        field = data if isinstance(data, ArrayRef) else ArrayRef(data)
        return self.of_products(
            (number, _multiply((), tuple((field if other is SELF_DATA else other, power) for other, power in factors)))
            for number, factors in self._terms.values()
        )

    @property
    def is_proportional_to_own(self) -> bool:
        """Whether every term has the frame's own data as a factor, once."""
        return all(_power_of(SELF_DATA, factors) == 1 for _, factors in self._terms.values())

    def with_data(self, data: NDArray[Any]) -> Coefficient:
        """
        The coefficient with the frame's own data written out, so that it no longer follows the frame.

        Parameters
        ----------
        data : ndarray
            The frame's data.

        Returns
        -------
        Coefficient
            Without the frame's own data among its factors.
        """
        if not self.depends_on_own:
            return self
        own = [term for term in self._terms.values() if _power_of(SELF_DATA, term[1])]
        others = [term for term in self._terms.values() if not _power_of(SELF_DATA, term[1])]
        return self.of_products(others) + Coefficient(np.asarray(self.of_products(own).evaluate(data)))

    def product(self, other: Coefficient) -> Coefficient:
        """
        This times another.

        Parameters
        ----------
        other : Coefficient
            The other factor.

        Returns
        -------
        Coefficient
            The product, of every pair of terms.
        """
        return self.of_products(
            (n * m, _multiply(left, right)) for n, left in self._terms.values() for m, right in other._terms.values()
        )

    def evaluate(self, own: NDArray[Any] | None = None) -> float | NDArray[Any]:
        """
        The value, as a number where it is one, else as an array of the widest type among its factors.

        The array may be one that others refer to, and is read-only then. ``own`` is the data of the frame that this
        belongs to; needed where `depends_on_own`.

        Parameters
        ----------
        own : ndarray, optional
            The data of the frame that this belongs to.

        Returns
        -------
        float or ndarray
            An array broadcasts to the frame.

        Raises
        ------
        ValueError
            If the frame's own data are needed and not given.
        """
        value = self._value(own, lambda field: field.array)
        let_go()
        return value

    def part(
        self, item: tuple[slice, ...], shape: tuple[int, ...], own: NDArray[Any] | None = None
    ) -> float | NDArray[Any]:
        """
        The value for ``frame[item]``: that of `cut`, without the cost of making one.

        Parameters
        ----------
        item : tuple of slice
            One slice for each axis of the frame.
        shape : tuple of int
            The frame's shape.
        own : ndarray, optional
            The part of the frame's own data.

        Returns
        -------
        float or ndarray
            As from `evaluate`.
        """
        if len(self._terms) == 1:
            ((number, factors),) = self._terms.values()
            if not factors:
                return number
            if number == 1 and len(factors) == 1 and factors[0][1] == 1 and type(factors[0][0]) is ArrayRef:
                field = factors[0][0]
                return field.part(along(field.shape, item, shape))
        return self._value(own, lambda field: field.part(along(field.shape, item, shape)))

    def _value(self, own: NDArray[Any] | None, array_of: Callable[[ArrayRef], NDArray[Any]]) -> float | NDArray[Any]:
        number = self.number
        if number is not None:
            return number
        total: Any = None
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for coefficient, factors in self._terms.values():
                value: Any = None
                number = coefficient
                kept: NDArray[np.bool_] | None = None
                for field, power in factors:
                    if field is SELF_DATA:
                        if own is None:
                            msg = "the coefficient depends on the data of its frame, which were not given"
                            raise ValueError(msg)
                        value = _apply(value, own, power)
                    elif isinstance(field, SurvivorMask):
                        kept = array_of(field) if kept is None else kept & array_of(field)
                    else:
                        array = array_of(field)
                        if not any(array.strides) and array.size and (power > 0 or array.flat[0]):
                            # One number everywhere, as in a part that one amplifier has read.
                            number *= float(array.flat[0]) ** power
                        else:
                            value = _apply(value, array, power)
                if value is None:
                    value = number
                elif number != 1:
                    value = value * number
                if kept is not None:
                    value = np.where(kept, value, value.dtype.type(0) if isinstance(value, np.ndarray) else 0.0)
                total = value if total is None else total + value
        result: NDArray[Any] = total
        return result

    def cut(self, item: tuple[slice, ...], shape: tuple[int, ...]) -> Coefficient:
        """
        The part of this that belongs to ``frame[item]``.

        Parameters
        ----------
        item : tuple of slice
            One slice for each axis of the frame.
        shape : tuple of int
            The frame's shape before the cut; axes along which an array has length 1 are left as they are.

        Returns
        -------
        Coefficient
            With references to parts of the arrays.
        """

        def cut_field(field: ArrayRef) -> ArrayRef:
            return field.cut(along(field.shape, item, shape))

        return self.with_arrays(cut_field, {})

    def at(self, pixels: NDArray[np.intp], shape: tuple[int, ...], known: dict[ArrayRef, ArrayRef]) -> Coefficient:
        """
        The values for some pixels, one after another; the frame's own data stay what they are.

        Parameters
        ----------
        pixels : ndarray of int, shape (n,)
            Where they are in the flattened frame.
        shape : tuple of int
            The frame's shape.
        known : dict
            The arrays that were looked up before; it is added to.

        Returns
        -------
        Coefficient
            Of arrays of shape (n,).
        """

        def look_up(field: ArrayRef) -> ArrayRef:
            if isinstance(field, SurvivorMask):
                if field.plane not in known:
                    known[field.plane] = look_up(field.plane)
                return SurvivorMask(known[field.plane], field.bit)
            return ArrayRef(field.at(pixels, shape))

        return self.with_arrays(look_up, known)

    def with_arrays(self, function: Callable[[ArrayRef], ArrayRef], known: dict[ArrayRef, ArrayRef]) -> Coefficient:
        """
        The same with other arrays.

        Parameters
        ----------
        function : callable
            Makes another array of one; it is called once for each.
        known : dict
            What it has made; it is added to.

        Returns
        -------
        Coefficient
            The same numbers and powers.
        """
        for _, factors in self._terms.values():
            for field, _ in factors:
                if field not in known:
                    known[field] = SELF_DATA if field is SELF_DATA else function(field)
        return self.of_products(
            (number, tuple((known[field], power) for field, power in factors))
            for number, factors in self._terms.values()
        )


def _rebuild(terms: tuple[tuple[float, Factors], ...]) -> Coefficient:
    return Coefficient.of_products(terms)


def _multiply(left: Factors, right: Factors) -> Factors:
    powers: dict[ArrayRef, int] = {}
    for field, power in (*left, *right):
        powers[field] = powers.get(field, 0) + power
    return tuple((field, power) for field, power in powers.items() if power != 0)


def _power_of(field: ArrayRef, factors: Factors) -> int:
    return next((power for other, power in factors if other is field), 0)


def _apply(value: Any, array: Any, power: int) -> Any:
    """``value * array**power`` with ``value=None`` for 1, without needless temporaries."""
    if power == 1:
        return array if value is None else value * array
    if power == -1:
        return np.reciprocal(array) if value is None else value / array
    return array**power if value is None else value * array**power
