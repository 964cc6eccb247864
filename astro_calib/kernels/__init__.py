"""Loops over pixels, compiled where it matters: arrays in, arrays out; no units, no astropy."""
