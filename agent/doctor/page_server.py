"""Who answers where the household looks for its page: the page's own script, another web server, or nobody."""

from __future__ import annotations

import http.client

HOST, PORT, NAME, LIMIT_S = "127.0.0.1", 80, "internet.box", 5.0
# Sent by firmware-config/openwrt/modem-agent/files/modem-agent.page alone.
MARK = "X-Household-Page"


def look(host: str = HOST, port: int = PORT) -> str:
    """What is wrong; empty where the page answers."""
    connection = http.client.HTTPConnection(host, port, timeout=LIMIT_S)
    try:
        connection.request("GET", "/", headers={"Host": NAME, "Connection": "close"})
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        return f"no web server answers on port {port} ({getattr(error, 'strerror', None) or error})"
    finally:
        connection.close()
    if answer.getheader(MARK) is None:
        server = "".join(sign for sign in answer.getheader("Server") or "" if sign.isprintable())[:40]
        return f"port {port} is another web server's ({server or 'it gives no name'})"
    return "" if answer.status == 200 else "its script answers, but there are no numbers: the agent has written none"
