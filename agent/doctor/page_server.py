"""Who answers where the household looks for its page: the page's own script, another web server, or nobody."""

from __future__ import annotations

import http.client

from agent.household.page import OWN_LINE

HOST, PORT, NAME, LIMIT_S = "127.0.0.1", 80, "internet.box", 5.0
# Sent by firmware-config/openwrt/modem-agent/files/modem-agent.page alone.
MARK = "X-Household-Page"
OWN, MOST_BYTES = OWN_LINE.encode(), 60_000


def look(host: str = HOST, port: int = PORT, *, count: bool = False) -> str:
    """What is wrong; empty where the page answers, with use by device if that is to be counted."""
    connection = http.client.HTTPConnection(host, port, timeout=LIMIT_S)
    try:
        connection.request("GET", "/", headers={"Host": NAME, "Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        return f"no web server answers on port {port} ({getattr(error, 'strerror', None) or error})"
    finally:
        connection.close()
    if answer.getheader(MARK) is None:
        server = "".join(sign for sign in answer.getheader("Server") or "" if sign.isprintable())[:40]
        return f"port {port} is another web server's ({server or 'it gives no name'})"
    if answer.status != 200:
        return "its script answers, but there are no numbers: the agent has written none"
    return (
        "it lacks use by device, which the kernel does not count: the log says why" if count and OWN not in body else ""
    )
