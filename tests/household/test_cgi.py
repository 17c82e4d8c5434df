"""The page over HTTP: the shipped script under busybox, alone and behind busybox's own web server."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.household.page_texts import LANGUAGES, texts
from agent.household.publication import Publication

from .test_page import NORMAL, Outline

SCRIPT = Path(__file__).parents[2] / "firmware-config/openwrt/modem-agent/files/modem-agent.page"


@pytest.fixture
def busybox() -> str:
    found = shutil.which("busybox")
    if found is None:
        pytest.skip("busybox: not installed")
    return found


@pytest.fixture
def publication(tmp_path: Path) -> Publication:
    """A page whose numbers were true at second 1000 of the boot."""
    made = Publication(tmp_path)
    made.publish(NORMAL, None, count=True)
    made.confirm(1_000.4, "nl")
    made.share([("-", (0, 152, 3)), ("192.168.8.23", (15, 137, 0)), ("fd00::23", (15, 137, 0))])
    return made


def answer(busybox: str, publication: Publication, up_s: float = 1_030.0, **request: str) -> tuple[dict[str, str], str]:
    """Headers and body of one request."""
    (publication.folder.parent / "uptime").write_text(f"{up_s} 5.0\n")
    environment = {
        "PATH": os.environ["PATH"], "PAGE": str(publication.folder),
        "UPTIME": str(publication.folder.parent / "uptime"),
        "LUCI": str(publication.folder.parent / "luci"), "REQUEST_METHOD": "GET", "REQUEST_URI": "/", **request,
    }  # fmt: skip
    done = subprocess.run([busybox, "sh", str(SCRIPT)], env=environment, capture_output=True, timeout=30, check=True)
    assert done.stderr == b""
    head, _, body = done.stdout.decode().partition("\r\n\r\n")
    return dict(line.split(": ", 1) for line in head.split("\r\n")), body


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ({}, "nl"),
        ({"HTTP_ACCEPT_LANGUAGE": "pl,tr;q=0.9"}, "nl"),
        ({"HTTP_ACCEPT_LANGUAGE": "de-BE,de;q=0.9,fr;q=0.8"}, "de"),
        ({"HTTP_ACCEPT_LANGUAGE": "tr, ar-MA;q=0.9, fr"}, "ar"),
        ({"HTTP_ACCEPT_LANGUAGE": "fr", "QUERY_STRING": "lang=en"}, "en"),
        ({"HTTP_ACCEPT_LANGUAGE": "fr", "QUERY_STRING": "lang=../../etc/passwd"}, "fr"),
        ({"HTTP_ACCEPT_LANGUAGE": "*", "QUERY_STRING": "lang=*;$(id)`id`"}, "nl"),
    ],
)
def test_the_language_is_the_readers(
    busybox: str, publication: Publication, asked: dict[str, str], language: str
) -> None:
    headers, body = answer(busybox, publication, 1_030.0, **asked)
    assert headers["Status"] == "200 OK"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert f'<html lang="{language}"' in body


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_agent_that_is_gone_is_told_within_three_minutes(
    busybox: str, publication: Publication, language: str
) -> None:
    old = texts(language).old.partition(".")[0].partition("。")[0]
    for age_s, is_old in ((0, False), (65, False), (149, False), (150, True), (179, True), (9_000, True)):
        _, body = answer(busybox, publication, 1_000.0 + age_s, QUERY_STRING=f"lang={language}")
        text = Outline(body).text
        assert (old in text) is is_old, age_s
        assert str(age_s // 60) in text
        assert "@" not in text
    _, body = answer(busybox, publication, 3.0)  # a clock of another boot is no age
    assert "0" in Outline(body).text


@pytest.mark.parametrize(
    "reader", ["192.168.8.23", "fd00::23", "[fd00::23]", "::ffff:192.168.8.23", "[::ffff:192.168.8.23]"]
)
def test_the_reader_sees_its_own_device(busybox: str, publication: Publication, reader: str) -> None:
    _, body = answer(busybox, publication, REMOTE_ADDR=reader, QUERY_STRING="lang=fr")
    text = Outline(body).text
    assert "Cet appareil\xa0: 1,5\xa0Go" in text
    assert "ensemble\xa0: 13,7\xa0Go" in text
    assert "ne sait pas" not in text
    assert "1.5\xa0GB" in answer(busybox, publication, REMOTE_ADDR=reader, QUERY_STRING="lang=en")[1].replace(
        "<bdi>", ""
    ).replace("</bdi>", "")


def test_a_stranger_sees_what_all_others_used(busybox: str, publication: Publication) -> None:
    _, body = answer(busybox, publication, REMOTE_ADDR="192.168.8.2", QUERY_STRING="lang=fr")
    text = Outline(body).text
    assert "Cet appareil\xa0: 0\xa0Go" in text
    assert "ensemble\xa0: 15,2\xa0Go" in text
    assert "quel appareil\xa0: 0,3\xa0Go" in text
    assert "192.168" not in body


def test_without_counting_there_is_nothing_of_devices(busybox: str, publication: Publication) -> None:
    (publication.folder / "devices").unlink()
    body = answer(busybox, publication, REMOTE_ADDR="192.168.8.23", QUERY_STRING="lang=fr")[1]
    assert "Cet appareil" not in body
    assert "Qui utilise" not in body


def test_before_there_is_a_page_it_says_so_in_all_languages(busybox: str, publication: Publication) -> None:
    publication.remove()
    assert not publication.folder.exists()
    headers, body = answer(busybox, publication)
    assert headers["Status"] == "503 Service Unavailable"
    assert {attributes.get("lang") for _, attributes in Outline(body).tags} - {None} == set(LANGUAGES)


def test_a_technician_who_comes_by_address_finds_luci(busybox: str, publication: Publication) -> None:
    (publication.folder.parent / "luci").touch()
    headers, body = answer(busybox, publication, HTTP_HOST="192.168.1.1")
    assert headers == {"Status": "302 Found", "Location": "/cgi-bin/luci/"}
    assert body == ""
    assert "<html" in answer(busybox, publication, HTTP_HOST="internet.box")[1]
    assert "<html" in answer(busybox, publication, HTTP_HOST="192.168.1.1", REQUEST_URI="/internet.household")[1]
    assert "<html" in answer(busybox, publication, HTTP_HOST="192.168.1.1", QUERY_STRING="lang=ar")[1]


# -- behind a real web server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(busybox: str, publication: Publication, tmp_path: Path) -> Iterator[int]:
    """busybox httpd as the Debian unit starts it, on a port of its own."""
    root = tmp_path / "root"
    (root / "cgi-bin").mkdir(parents=True)
    shutil.copy(SCRIPT, root / "cgi-bin/index.cgi")
    port = free_port()
    environment = {**os.environ, "PAGE": str(publication.folder)}
    command = [busybox, "httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", str(root)]
    with subprocess.Popen(command, env=environment) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield port
        process.terminate()


def fetched(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return response.status, dict(response.getheaders()), response.read().decode()


def test_busybox_serves_the_page_at_the_root(server: int, publication: Publication) -> None:
    up_s = float(Path("/proc/uptime").read_text().split()[0])
    publication.confirm(up_s, "nl")
    publication.share([("-", (0, 152, 0)), ("127.0.0.1", (15, 137, 0))])
    status, headers, body = fetched(server, "/", Accept_Language="ar,fr;q=0.5", Host="internet.box")
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert '<html lang="ar" dir="rtl"' in body
    assert "1,5" in body
    for link in re.findall(r'href="(\?lang=..)"', body):
        assert f'<html lang="{link[-2:]}"' in fetched(server, f"/{link}")[2]


def test_nothing_else_is_served(server: int, publication: Publication) -> None:
    for path in ("/alive", "/devices", "/../page/devices", "/cgi-bin/", "/cgi-bin/../../page/devices", "/fr.html"):
        status, _, body = fetched(server, path)
        assert status >= 400 or "<html lang=" in body, path
        assert "192.168.8.23" not in body
