"""Run the tests of other packages as they are installed, with `CCDFrame` in the place of `CCDData`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from astropy.nddata import StdDevUncertainty

from astro_calib import CCDFrame

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType


class FrameOfSigmas(CCDFrame):
    """
    A frame whose ``uncertainty`` is a standard deviation instead of a variance.

    It tells a difference in the class of the uncertainty from a difference in its numbers.
    """

    @property
    def uncertainty(self):
        variance = CCDFrame.uncertainty.fget(self)
        return None if variance is None else variance.represent_as(StdDevUncertainty)

    @uncertainty.setter
    def uncertainty(self, value):
        CCDFrame.uncertainty.fset(self, value)


@dataclass(frozen=True)
class Reason:
    """Why a frame is meant to differ from a CCDData, and what the other package's test raises because of it."""

    text: str
    raises: type[BaseException] = AssertionError
    only_class: bool = False


#: The class of the uncertainty is not remembered. With a `FrameOfSigmas` these tests have to pass.
ONLY_THE_CLASS = Reason(
    "`uncertainty` is a VarianceUncertainty, whatever was assigned: what its array holds does not depend on a frame's "
    "history. The numbers are the same.",
    only_class=True,
)


@dataclass(frozen=True)
class Difference:
    """A test that a frame is meant to fail, for some values of its parameters or for all."""

    test: str
    reason: Reason
    where: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def concerns(self, item: pytest.Function) -> bool:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        return item.originalname == self.test and all(parameters[name] in values for name, values in self.where.items())


def found_in(*modules: ModuleType) -> dict[str, Any]:
    """What a module of tests has to hold so that pytest finds the tests of others in it."""
    found: dict[str, Any] = {}
    for module in modules:
        public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
        repeated = {name for name in public.keys() & found.keys() if name.startswith("test_")}
        assert not repeated, f"{module.__name__} repeats {sorted(repeated)}"
        found |= public
    return found


def classes_to_try(metafunc: pytest.Metafunc, differences: Iterable[Difference]) -> None:
    """Run each test with frames, and with frames of sigmas those where only the class is different."""
    classes = [CCDFrame]
    if any(d.test == metafunc.function.__name__ and d.reason.only_class for d in differences):
        classes.append(FrameOfSigmas)
    metafunc.parametrize("frame_class", classes, ids=lambda one: one.__name__)


def substitute(
    frame_class: type[CCDFrame],
    modules: Iterable[ModuleType],
    differences: Iterable[Difference],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Put the frames into the modules, and expect the test to fail if it is one of the differences."""
    for module in modules:
        monkeypatch.setattr(module, "CCDData", frame_class)
    for difference in differences:
        reason = difference.reason
        if difference.concerns(request.node) and not (reason.only_class and frame_class is FrameOfSigmas):
            request.applymarker(pytest.mark.xfail(strict=True, raises=reason.raises, reason=reason.text))
