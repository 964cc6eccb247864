"""What files are, and what would be done with them, as text."""
