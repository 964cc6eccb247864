"""Frames as ASDF files."""
