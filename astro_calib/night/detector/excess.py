"""What the image has in read-out noise and the overscan has not, from biases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from astro_calib.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astro_calib.characterize.frame_noise import ImageExcess
    from astro_calib.night.files.sample import Piece

__all__ = ["excess_of"]


def excess_of(biases: Sequence[Piece]) -> ImageExcess | None:
    """Return what biases have in read-out noise in the image and not in the overscan; None if they do not tell."""
    from astro_calib.characterize.frame_noise import image_excess

    if len(biases) < 2 or any(piece.overscan is None for piece in biases):
        return None
    whole = [np.hstack([piece.pixels, piece.overscan]) for piece in biases if piece.overscan is not None]
    rows, columns = biases[0].pixels.shape
    try:
        return image_excess(whole, f"[{columns + 1}:{whole[0].shape[1]}, 1:{rows}]", f"[1:{columns}, 1:{rows}]")
    except FrameError:
        # Too small an overscan tells nothing.
        return None
