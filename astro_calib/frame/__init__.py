"""The frame: a CCDData that carries its budget of noise."""
