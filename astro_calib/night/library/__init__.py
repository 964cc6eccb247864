"""Masters of other nights."""
