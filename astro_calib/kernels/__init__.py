"""
Compiled loops over pixels: arrays in, arrays out.

They are compiled when they are first needed, and kept on disk for the next time: `astro_calib.kernels.cache`.
"""
