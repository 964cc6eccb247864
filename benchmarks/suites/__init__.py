"""What `asv` follows from commit to commit."""
