"""Frames as FITS files."""
