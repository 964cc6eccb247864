"""Which frames were taken with the same settings of the camera."""
