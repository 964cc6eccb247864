"""Which gain and which read noise to take, of those that are stated, written in headers, and measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["MODES", "Estimate", "Evidence", "Number", "decide"]

#: ``--detector``: what may be taken.
MODES = ("auto", "header", "measure", "profile")
#: A measurement overrules a header if it is away from it by more than this part and by so many standard errors, and if
#: it is known to this part.
AWAY, ERRORS, KNOWN = 0.05, 5.0, 0.03
#: A measurement confirms a header within so many standard errors.
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
    >>> from astro_calib.night.detector.decide import Estimate, Evidence, decide
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
    lent: tuple[float, float | None] | None = None,
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
    lent : (float, float or None), optional
        What the masters of another night were made with that stand in for frames of this one, and its uncertainty.
    top : float
        The largest number in a raw frame, adu.
    """
    case = _Case(role, evidence, header, stated, by)
    if mode == "measure":
        return case.measurement()
    if stated is not None:
        return case.statement(stated_uncertainty)
    if mode == "profile":
        return case.number(None, "", f"neither the profile nor {case.option} states it")
    if lent is not None and evidence.measured is None and (header is None or mode == "auto"):
        value, uncertainty = lent
        return case.number(value, "masters", case.of_masters(value), uncertainty)
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

    @property
    def option(self) -> str:
        return "--" + self.role.replace("_", "-")

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

    def of_masters(self, lent: float) -> str:
        """Why that of the masters is taken."""
        other = "" if self.header is None else f"; headers say {self.header:g}"
        return f"the borrowed masters were made with {lent:.4g}, and nothing of this night measures it{other}"

    def of_header(self, top: float) -> Number:
        """The header's, which nothing was compared with."""
        assert self.header is not None
        odd = implausible(self.role, self.header, top)
        alarm = (
            f"{odd}; it is taken from the headers all the same, and error bars are wrong with it; give {self.option}"
        )
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
            alarm = f"the {self.name} is measured, {measured} {UNITS[self.role]}, but {self.evidence.doubts[0]}; "
            alarm += f"give {self.option} if you know better"
        why = "nothing else tells it" if self.header is None else "as --detector measure asks"
        return self.number(measured.value, "measured", why, measured.error, alarm)

    def header_or_measurement(self, top: float) -> Number:
        """Whichever of the two is better."""
        measured = self.evidence.measured
        assert self.header is not None
        assert measured is not None
        apart = abs(measured.value - self.header)
        odd, far = implausible(self.role, self.header, top), self._far(self.header)
        if apart <= NEAR * measured.error and not (self.evidence.doubts or odd):
            return self.number(self.header, "header", f"flats and biases agree: {measured}")
        if self._sound(apart, odd) and self._confirmed(far, odd):
            return self._overruling(odd, far)
        doubt = self._doubt()
        against = bool(self.evidence.doubts) or self.evidence.sky == "farther"
        uncertainty = None if far and against else apart
        alarm = ""
        if odd or (far and not against):
            taken = "" if uncertainty is None else f" with an uncertainty of {apart:.2g}"
            alarm = (
                f"the {self.name} is doubtful: headers say {self.header:g} {UNITS[self.role]}, flats and biases "
                f"{measured}. That of the headers is taken{taken}, for {doubt}; give {self.option}, or --detector "
                f"measure{f' ({odd})' if odd else ''}"
            )
        return self.number(self.header, "header", f"{measured} was measured, but {doubt}", uncertainty, alarm)

    def _sound(self, apart: float, odd: str) -> bool:
        """Whether nothing speaks against the measurement, and it is known well enough to replace the header."""
        measured = self.evidence.measured
        assert self.header is not None
        assert measured is not None
        # What cannot be a gain needs less to be overruled, and a response that bends does not make so much.
        checked = not self.evidence.unconfirmed or odd or apart > BENT * min(measured.value, self.header)
        known = odd or measured.error <= KNOWN * measured.value
        return bool(not self.evidence.doubts and checked and known)

    def _confirmed(self, far: bool, odd: str) -> bool:
        """Whether the sky agrees with the measurement; it says nothing of small differences, nor of the read noise."""
        if self.evidence.sky == "":
            return bool(not far or odd or self.role != "gain")
        return self.evidence.sky == "nearer"

    def _overruling(self, odd: str, far: bool) -> Number:
        """The measurement instead of what the headers say."""
        measured = self.evidence.measured
        assert self.header is not None
        assert measured is not None
        said = f"headers say {self.header:g}, the frames {measured}"
        if not (far or odd):
            return self.number(measured.value, "measured", f"{said}, within 5% or 5 standard errors", measured.error)
        frames = "flats and biases" if self.role == "gain" else "biases"
        away = f" by {100 * (self.header / measured.value - 1):+.3g}%" if not odd else f": {odd}"
        alarm = (
            f"the {self.name} in the headers, {self.header:g} {UNITS[self.role]}, is wrong{away}; {frames} say "
            f"{measured}, which is taken"
        )
        reason = (
            "the noise of the sky is nearer to the predicted one with it" if self.evidence.sky else "all checks hold"
        )
        return self.number(measured.value, "measured", f"{said}; {reason}", measured.error, alarm)

    def _doubt(self) -> str:
        """Why the measurement is not taken."""
        measured = self.evidence.measured
        assert measured is not None
        if self.evidence.doubts:
            return self.evidence.doubts[0]
        if self.evidence.sky == "farther":
            return "the noise of the sky is farther from the prediction with it"
        if measured.error > KNOWN * measured.value:
            return f"it is known to {100 * measured.error / measured.value:.2g}% only"
        return self.evidence.unconfirmed or "the sky does not tell which is right"

    def _far(self, other: float) -> bool:
        """Whether the measurement contradicts a number."""
        measured = self.evidence.measured
        assert measured is not None
        apart = abs(measured.value - other)
        return apart > AWAY * other and apart > ERRORS * measured.error
