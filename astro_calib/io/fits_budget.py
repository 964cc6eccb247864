"""
The tree of a frame as extensions of a FITS file.

BUDGET holds the tree as JSON text, one byte a pixel; the arrays in it are ARRAY extensions, numbered by EXTVER. The
primary header says how many extensions there are (NEXTEND), so that a file that was cut off between two of them is not
taken for whole, and what the frame's identity is (CALID).
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from astro_calib.errors import FrameError
from astro_calib.io.stored_arrays import MALFORMED, native

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "BUDGET",
    "FLAGS",
    "IDENTITY",
    "NUMBER_OF_EXTENSIONS",
    "read_provenance",
    "read_tree",
    "storable",
    "tree_extensions",
]

#: Name of the extension with the data quality flags.
FLAGS = "FLAGS"
BUDGET = "BUDGET"
ARRAY = "ARRAY"
IDENTITY = "CALID"
NUMBER_OF_EXTENSIONS = "NEXTEND"
ANEW = "If another program has written it anew, read it with checksum=False"
#: Types that FITS has no code for, and what holds all their values.
HELD_BY = {"bool": np.uint8, "float16": np.float32}


def storable(array: Any) -> NDArray[Any]:
    """
    An array as FITS can hold it; read-only, for astropy would swap the bytes of another in place while it writes them.

    Raises
    ------
    FrameError
        If FITS cannot hold it.
    """
    array = np.asarray(array)
    held_by = HELD_BY.get(array.dtype.name, array.dtype)
    array = array.view(held_by) if array.dtype == np.bool_ else array.astype(held_by, copy=False).view()
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8 or not array.size or not array.ndim:
        msg = f"FITS cannot hold an array of shape {array.shape} and type {array.dtype}."
        raise FrameError(msg)
    array.flags.writeable = False
    return array


def tree_extensions(tree: Mapping[str, Any]) -> Iterator[fits.ImageHDU]:
    """
    The extensions that hold a tree: first its text, then its arrays.

    Parameters
    ----------
    tree : mapping
        Of plain Python objects and ndarrays.
    """
    arrays: list[NDArray[Any]] = []

    def plain(node: Any) -> Any:
        if isinstance(node, np.ndarray):
            arrays.append(node)
            return {"extension": len(arrays), "dtype": node.dtype.name}
        if isinstance(node, dict):
            return {str(key): plain(value) for key, value in node.items()}
        if isinstance(node, (list, tuple)):
            return [plain(value) for value in node]
        if isinstance(node, float) and not math.isfinite(node):
            return repr(node)
        return node

    text = json.dumps(plain(tree), separators=(",", ":"), allow_nan=False).encode()
    yield fits.ImageHDU(np.frombuffer(text, np.uint8), name=BUDGET)
    for number, array in enumerate(arrays, start=1):
        yield fits.ImageHDU(storable(array), name=ARRAY, ver=number)


def read_tree(hdus: fits.HDUList) -> dict[str, Any]:
    """
    The tree of a file, with its arrays.

    Raises
    ------
    FrameError
        If extensions are missing, or the text is damaged.
    """
    expected, found = hdus[0].header.get(NUMBER_OF_EXTENSIONS), len(hdus) - 1
    if isinstance(expected, int) and found < expected:
        msg = f"truncated: {found} extensions, where its header announces {expected}. {ANEW}"
        raise FrameError(msg)
    if BUDGET not in hdus:
        msg = f"truncated or damaged: its extension {BUDGET} is missing. {ANEW}"
        raise FrameError(msg)
    arrays: dict[tuple[int, str], NDArray[Any]] = {}

    def array_of(number: int, name: str) -> NDArray[Any]:
        if (number, name) not in arrays:
            array = hdus[ARRAY, number].data
            arrays[number, name] = native(array).astype(name) if name in HELD_BY else array
        return arrays[number, name]

    def whole(node: Any) -> Any:
        if isinstance(node, dict):
            if node.keys() == {"extension", "dtype"}:
                return array_of(int(node["extension"]), str(node["dtype"]))
            return {key: whole(value) for key, value in node.items()}
        return [whole(value) for value in node] if isinstance(node, list) else node

    text = _tree_without_arrays(hdus)
    try:
        tree: dict[str, Any] = whole(text)
    except MALFORMED as error:
        msg = f"damaged: its extension {BUDGET} cannot be understood: {error}"
        raise FrameError(msg) from error
    return tree


def _tree_without_arrays(hdus: fits.HDUList) -> dict[str, Any]:
    """The tree of a file, in which arrays are told by the number of their extension."""
    try:
        tree = json.loads(np.asarray(hdus[BUDGET].data, np.uint8).tobytes())
    except MALFORMED as error:
        msg = f"damaged: its extension {BUDGET} cannot be understood: {error}"
        raise FrameError(msg) from error
    if not isinstance(tree, dict):
        msg = f"damaged: its extension {BUDGET} holds a {type(tree).__name__}"
        raise FrameError(msg)
    return tree


def read_provenance(path: Path) -> tuple[dict[str, Any], ...]:
    """
    Return what was done to a frame by its file, the oldest step first; neither pixels nor arrays are read.

    A FrameError says that the file has no tree, or a damaged one.
    """
    with fits.open(path) as hdus:
        return tuple(_tree_without_arrays(hdus).get("provenance") or ())
