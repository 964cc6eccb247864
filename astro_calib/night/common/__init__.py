"""What all parts of a night use: its frames, names, remarks, text and places of output."""
