"""Which calibration frames go with which science frame."""
