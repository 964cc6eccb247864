"""A night's detector, as it is stated, written and measured."""
