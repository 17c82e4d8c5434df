"""How each cause that the agent can name for a dead line is provoked, for `modem-sim ctl provoke` and the tests.

The names are those of agent/modem/cause.py. `throttled` is the operator's own limit here; the agent's plan makes the
same with a top-up that is used up.
"""

from __future__ import annotations

from simulator.errors import UnknownName

RECIPES: dict[str, tuple[tuple[str, ...], ...]] = {
    "none": (),
    "usb-gone": (("unplug",),),
    "port-stolen": (("steal",),),
    "modem-hung": (("fault", "hang-power"),),
    "sim-missing": (("fault", "sim-absent"),),
    "sim-locked": (("fault", "sim-pin", "1"),),
    "registration-denied": (("fault", "denied"),),
    "no-coverage": (("fault", "no-coverage"),),
    "apn": (("fault", "wrong-apn"),),
    "throttled": (("fault", "throttled"),),
    "operator-outage": (("fault", "outage"),),
}
HEAL: tuple[tuple[str, ...], ...] = (("clear",), ("release",), ("plug",))


def recipe(cause: str) -> tuple[tuple[str, ...], ...]:
    """What to do so that this cause, and no other, holds."""
    if cause not in RECIPES:
        raise UnknownName("cause", cause, list(RECIPES))
    return (*HEAL, *RECIPES[cause])
