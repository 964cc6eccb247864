"""What a reduction says of itself."""
