"""The document that DHCP option 114 leads phones to, and what the packages say of it: RFC 8908 and RFC 8910."""

from __future__ import annotations

import json

from agent.household.dnsmasq_conf import snippet
from agent.household.metered import dhcp_options

from .conftest import PROJECT

DOCUMENT = PROJECT / "firmware-config/broker/captive-portal.json"
SETUP = PROJECT / "firmware-config/raspberry-pi/setup.sh"


def test_the_document_says_that_nobody_is_held_captive_and_where_the_page_is() -> None:
    """No bytes-remaining: RFC 8908, 5, has it mean what is left until the device becomes captive, which never comes."""
    assert json.loads(DOCUMENT.read_text()) == {"captive": False, "venue-info-url": "http://internet.box/"}
    assert len(DOCUMENT.read_bytes()) < 4_096  # what Android reads of it at most


def test_the_raspberry_pi_s_script_writes_what_the_agent_would() -> None:
    """So that the agent, which cannot write to a read-only root, finds nothing to change."""
    text = SETUP.read_text()
    assert f"modem-agent-metered.conf <<'TEXT'\n{snippet(dhcp_options('auto', ''))}TEXT\n" in text
    assert "interface-name=internet.box,$lan" in text
