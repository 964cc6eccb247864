"""Profiles: which kind of frame a file is, and under which keywords its header tells what."""
