"""Which gain and which read noise to take, of those that are stated, written in headers, and measured."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

__all__ = ["MODES", "Estimate", "Evidence", "Number", "decide"]

#: ``--detector``: what may be taken.
MODES = ("auto", "header", "measure", "profile")
#: A measurement overrules a header if it is away from it by more than this part and by so many standard errors, and if
#: it is known to this part.
AWAY, ERRORS, KNOWN = 0.05, 5.0, 0.03
#: A measurement that is known less well does not speak against a header within so many standard errors.
NEAR = 2.0
#: A response that bends makes a gain wrong by less than this part.
BENT = 0.25
#: Detectors hold fewer electrons than this in a pixel.
DEEPEST = 1e6
#: Whole numbers above this are settings, not gains in electron/adu.
SETTING = 10
UNITS = {"gain": "electron/adu", "read_noise": "electron"}


class Estimate(NamedTuple):
    """A value with its standard uncertainty."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:#.4g} +- {self.error:.2g}"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """
    What the frames say of a number.

    Parameters
    ----------
    measured : Estimate, optional
        The measurement; None if there is none, and ``why_not`` says why.
    why_not : str
        What is missing for a measurement.
    doubts : tuple of str
        What speaks against it.
    unconfirmed : str
        Why it cannot be trusted against a header although nothing speaks against it; empty if it can.
    sky : str
        What the noise of the sky says: ``"nearer"`` 1 with the measurement than with the header, ``"farther"``, or
        ``""`` if it does not tell.
    processed : bool
        Whether the doubts are that the frames are not raw.
    """

    measured: Estimate | None = None
    why_not: str = ""
    doubts: tuple[str, ...] = ()
    unconfirmed: str = ""
    sky: str = ""
    processed: bool = False


@dataclass(frozen=True, kw_only=True)
class Number:
    """
    A number of the detector: what each source says of it, which one was taken, and why.

    Parameters
    ----------
    role : {"gain", "read_noise"}
        Which number.
    value : float or None
        What was taken, in electron/adu or electron; None if it is not known from anywhere.
    uncertainty : float or None
        Its standard uncertainty; None if it counts as exact.
    source : str
        ``"measured"``, ``"header"``, or what states it.
    why : str
        The reason.
    measured : Estimate or None
        What was measured.
    header : float or None
        What the headers say.
    stated : float or None
        What an option or the profile says.
    alarm : str
        A contradiction that has to be read first; empty if there is none.

    Examples
    --------
    >>> from astro_calib.night.decide import Estimate, Evidence, decide
    >>> right = Evidence(measured=Estimate(2.336, 0.02), sky="nearer")
    >>> number = decide("gain", "auto", evidence=right, header=1.5)
    >>> number.value, number.source
    (2.336, 'measured')
    """

    role: str
    value: float | None
    source: str
    why: str
    uncertainty: float | None = None
    measured: Estimate | None = None
    header: float | None = None
    stated: float | None = None
    alarm: str = ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.role.replace("_", " ")


def decide(
    role: str,
    mode: str,
    *,
    evidence: Evidence,
    header: float | None = None,
    stated: float | None = None,
    by: str = "",
    stated_uncertainty: float | None = None,
    top: float = 65535.0,
) -> Number:
    """
    Decide which number to take.

    Parameters
    ----------
    role : {"gain", "read_noise"}
        Which number.
    mode : {"auto", "header", "measure", "profile"}
        What may be taken.
    evidence : Evidence
        What the frames say.
    header, stated : float, optional
        What the headers say, and what an option or the profile says.
    by : str
        What states it, such as ``"--gain"``.
    stated_uncertainty : float, optional
        The uncertainty of what is stated.
    top : float
        The largest number in a raw frame, adu.
    """
    case = _Case(role, evidence, header, stated, by)
    if mode == "measure":
        return case.measurement()
    if stated is not None:
        return case.statement(stated_uncertainty)
    if mode == "profile":
        option = "--" + role.replace("_", "-")
        return case.number(None, "", f"neither the profile nor {option} states it")
    if header is not None and (mode == "header" or evidence.measured is None):
        return case.of_header(top)
    if evidence.measured is None or mode == "header":
        return case.number(None, "", evidence.why_not or "the headers do not tell it")
    return case.measurement() if header is None else case.header_or_measurement(top)


def implausible(role: str, value: float, top: float) -> str:
    """Why a header's number cannot be what it should be; empty if it can."""
    if role != "gain":
        return ""
    if value > SETTING and value == round(value):
        return f"{value:g} is the setting of a camera, and not its gain in electron/adu"
    if value * top > DEEPEST:
        return f"with a gain of {value:g} a full pixel would hold {value * top:.2g} electron, more than any does"
    return ""


class _Case(NamedTuple):
    """What is known of a number, and the answers that can be given."""

    role: str
    evidence: Evidence
    header: float | None
    stated: float | None
    by: str

    @property
    def name(self) -> str:
        return self.role.replace("_", " ")

    def number(
        self, value: float | None, source: str, why: str, uncertainty: float | None = None, alarm: str = ""
    ) -> Number:
        return Number(
            role=self.role,
            value=value,
            source=source,
            why=why,
            uncertainty=uncertainty,
            measured=self.evidence.measured,
            header=self.header,
            stated=self.stated,
            alarm=alarm,
        )

    def of_header(self, top: float) -> Number:
        """The header's, which nothing was compared with."""
        assert self.header is not None
        odd = implausible(self.role, self.header, top)
        option = "--" + self.role.replace("_", "-")
        alarm = f"{odd}; it is taken from the headers all the same, and error bars are wrong with it; give {option}"
        why = f"not measured: {self.evidence.why_not}" if self.evidence.why_not else "as --detector header asks"
        return self.number(self.header, "header", why, alarm=alarm if odd else "")

    def statement(self, uncertainty: float | None) -> Number:
        """What is stated, and whether the measurement contradicts it."""
        assert self.stated is not None
        measured, alarm = self.evidence.measured, ""
        why = f"stated by {self.by}"
        if measured is not None and self._far(self.stated):
            if self.evidence.doubts:
                why += f"; {measured} was measured, but {self.evidence.doubts[0]}"
            else:
                alarm = (
                    f"the {self.name} of {self.stated:g} {UNITS[self.role]} that {self.by} states is taken, but this "
                    f"night's flats and biases say {measured}; check it, or leave it out"
                )
        return self.number(self.stated, self.by, why, uncertainty, alarm)

    def measurement(self) -> Number:
        """The measurement, because nothing else may be taken or is known."""
        measured = self.evidence.measured
        if measured is None or self.evidence.processed:
            return self.number(None, "", self.evidence.why_not or self.evidence.doubts[0])
        alarm = ""
        if self.evidence.doubts:
            option = "--" + self.role.replace("_", "-")
            alarm = f"the {self.name} is measured, {measured} {UNITS[self.role]}, but {self.evidence.doubts[0]}; "
            alarm += f"give {option} if you know better"
        why = "nothing else tells it" if self.header is None else "as --detector measure asks"
        return self.number(measured.value, "measured", why, measured.error, alarm)

    def header_or_measurement(self, top: float) -> Number:
        """Whichever of the two is better."""
        assert self.header is not None
        measured = self.evidence.measured
        assert measured is not None
        far, odd = self._far(self.header), implausible(self.role, self.header, top)
        known = measured.error <= KNOWN * measured.value
        apart = abs(measured.value - self.header)
        confirmable = odd or apart > BENT * min(measured.value, self.header)
        sound = not self.evidence.doubts and (not self.evidence.unconfirmed or confirmable)
        said = f"headers say {self.header:g}, flats and biases {measured}"
        away = f"{100 * (self.header / measured.value - 1):+.3g}%"
        # The sky tells of the gain only, and nothing of small differences.
        silent = self.evidence.sky == "" and (not far or odd != "" or self.role != "gain")
        confirmed = self.evidence.sky == "nearer" or silent
        if sound and known and confirmed:
            if not far:
                return self.number(
                    measured.value, "measured", "the headers agree within 5% or 5 errors", measured.error
                )
            alarm = (
                f"the {self.name} in the headers, {self.header:g} {UNITS[self.role]}, is wrong by {away}: flats and "
                f"biases say {measured}, which is taken"
            )
            if odd:
                alarm += f" ({odd})"
            reason = "the noise of the sky is nearer to 1 with it" if self.evidence.sky else "all checks hold"
            return self.number(measured.value, "measured", f"{said}; {reason}", measured.error, alarm)
        doubt = self._doubt(known)
        if not far:
            unknown = not known and apart <= NEAR * measured.error
            return self.number(
                self.header, "header", f"the measurement agrees; {doubt}", None if unknown or not apart else apart
            )
        against = self.evidence.doubts or self.evidence.sky == "farther"
        alarm = (
            ""
            if against
            else (
                f"the {self.name} is doubtful: {said} {UNITS[self.role]}. The headers' is taken with an uncertainty of "
                f"{apart:.2g}, for {doubt}; give --{self.role.replace('_', '-')}, or --detector measure"
            )
        )
        why = f"{measured} was measured, but {doubt}"
        return self.number(self.header, "header", why, None if against else apart, alarm)

    def _doubt(self, known: bool) -> str:
        """Why the measurement is not taken."""
        if self.evidence.doubts:
            return self.evidence.doubts[0]
        if self.evidence.sky == "farther":
            return "the noise of the sky is farther from 1 with it"
        if not known:
            assert self.evidence.measured is not None
            return f"it is known to {100 * self.evidence.measured.error / self.evidence.measured.value:.2g}% only"
        return self.evidence.unconfirmed or "the sky does not tell which is right"

    def _far(self, other: float) -> bool:
        """Whether the measurement contradicts a number."""
        measured = self.evidence.measured
        assert measured is not None
        apart = abs(measured.value - other)
        known = isfinite(measured.error) and measured.error <= KNOWN * measured.value
        return known and apart > AWAY * other and apart > ERRORS * measured.error
