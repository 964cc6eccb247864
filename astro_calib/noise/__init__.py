"""What a frame's error is made of: sources of noise, on plain arrays."""
