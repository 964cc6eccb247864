"""What is known of a camera."""
