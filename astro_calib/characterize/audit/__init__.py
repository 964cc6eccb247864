"""Are the error bars right? Observed against predicted noise, and the fault that explains the difference."""

from astro_calib.characterize.audit.noise import audit_noise
from astro_calib.characterize.audit.result import NoiseAudit

__all__ = ["NoiseAudit", "audit_noise"]
