"""The masters of a night, made and lent."""
