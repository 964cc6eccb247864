"""Combining frames."""
