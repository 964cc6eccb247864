"""``python -m astro_calib`` is the command ``astro-calib``."""

from astro_calib.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main(prog_name="astro-calib")
