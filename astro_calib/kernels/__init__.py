"""Compiled loops over pixels: arrays in, arrays out; no units, no astropy."""
