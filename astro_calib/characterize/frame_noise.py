"""The read-out noise of one frame, from its own overscan, with what biases say of image against overscan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astro_calib.detector.detector import Detector

__all__ = ["ImageExcess", "frame_detector", "image_excess"]


class ImageExcess(NamedTuple):
    """
    What the image has in read-out noise more than the overscan, adu^2; negative where it has less.

    Parameters
    ----------
    white, row : float
        Of the part of each pixel and of that which a row shares.

    Examples
    --------
    >>> from astro_calib.characterize import ImageExcess
    >>> ImageExcess(white=4.4, row=0.0).white
    4.4
    """

    white: float
    row: float


def image_excess(biases: Sequence[Any], overscan: str, image: str | None = None) -> ImageExcess:
    """
    What the image has in read-out noise more than the overscan, from biases.

    Parameters
    ----------
    biases : sequence of CCDFrame or ndarray, shape (ny, nx)
        Two or more raw ones, with their overscan.
    overscan : str
        FITS section of the overscan.
    image : str, optional
        FITS section of the image; all columns before or after the overscan by default.

    Returns
    -------
    ImageExcess
        For `frame_detector`.
    """
    raise NotImplementedError


def frame_detector(frame: Any, overscan: str, detector: Detector, excess: ImageExcess | None = None) -> Detector:
    """
    The detector as it read out one frame: read noise and its correlation from the frame's own overscan.

    Parameters
    ----------
    frame : CCDFrame or ndarray, shape (ny, nx)
        A raw one, with its overscan.
    overscan : str
        FITS section of the overscan.
    detector : Detector
        Of one amplifier, such as `PhotonTransfer.to_detector` makes; all but its read noise and the correlation of
        that is kept.
    excess : ImageExcess, optional
        What `image_excess` found in biases. Without it the image counts as read out like the overscan, and where it is
        not, the read noise may be too low.

    Returns
    -------
    Detector
        Whose read noise holds for the image of this frame.
    """
    raise NotImplementedError
