"""What is made from many frames: gain and read-out noise of a detector from flats and biases."""

from astro_calib.characterize.read_noise import Tone
from astro_calib.characterize.result import AmplifierTransfer, Measured, PhotonTransfer, Point
from astro_calib.characterize.transfer import photon_transfer

__all__ = ["AmplifierTransfer", "Measured", "PhotonTransfer", "Point", "Tone", "photon_transfer"]
