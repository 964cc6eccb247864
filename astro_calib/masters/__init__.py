"""Frames that are applied to others, and what was done to a frame."""
