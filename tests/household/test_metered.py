"""What the devices of the house are told of the line: bytes of the element, numbers of the options."""

from __future__ import annotations

import pytest

from agent.household import metered
from agent.household.metered import DhcpOption

OTHERS = bytes.fromhex("dd0400112233dd050050f20100")  # one vendor's, and one of Microsoft's OUI with another type


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        # dd 08, 00 50 f2 11, level 02 fixed, 00, flags, 00: [MS-NCT] 2.2
        ("normal", "dd080050f21102000000"),
        ("warned", "dd080050f21102000800"),
        ("throttled", "dd080050f21102000900"),
        ("forced", "dd080050f21102000100"),
        ("lifted", "dd080050f21102000000"),
        ("suspended", "dd080050f21102000000"),
        ("expired", "dd080050f21102000000"),
    ],
)
def test_the_network_cost_element_of_each_state(state: str, expected: str) -> None:
    assert metered.element(state).hex() == expected


@pytest.mark.parametrize("state", ["normal", "throttled"])
def test_elements_of_others_stay_and_ours_never_stands_twice(state: str) -> None:
    ours = metered.element(state)
    assert metered.without_ours(b"") == b""
    assert metered.without_ours(ours) == b""
    assert metered.without_ours(OTHERS[:6] + ours + OTHERS[6:] + ours) == OTHERS


@pytest.mark.parametrize("broken", ["dd", "dd08", "dd080050f211020000", "dd0400112233dd"])
def test_what_is_no_row_of_elements_is_refused(broken: str) -> None:
    with pytest.raises(ValueError, match=f"{broken} is not a row"):
        metered.without_ours(bytes.fromhex(broken))


def test_options_by_the_configuration() -> None:
    url = "https://operator.example/captive.json"
    hint, portal = DhcpOption(43, "ANDROID_METERED"), DhcpOption(114, url)
    assert metered.dhcp_options("auto", "") == (hint,)
    assert metered.dhcp_options("auto", url) == (hint, portal)
    assert metered.dhcp_options("off", url) == (portal,)
    assert metered.dhcp_options("off", "") == ()
