"""The helper itself: what it makes works, and nothing of it stays behind."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.netns import lan_and_wan, needs_namespaces, wire

pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    needs_namespaces()


def _ours() -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if line.startswith(f"ma-{os.getpid()}-")]


def test_a_wire_carries_both_families_and_goes_away() -> None:
    with wire() as w:
        assert "1 received" in w.near.run("ping", "-c1", w.far.address)
        assert "1 received" in w.near.run("ping", "-c1", w.far.address6)
        assert len(_ours()) == 2
    assert _ours() == []


def test_it_goes_away_after_an_error_with_a_process_still_in_it() -> None:
    def fail_with_a_process_inside() -> None:
        with wire() as w:
            processes.append(w.near.popen("sleep", "60"))
            raise RuntimeError("the test broke")

    processes: list[subprocess.Popen[str]] = []
    with pytest.raises(RuntimeError):
        fail_with_a_process_inside()
    assert processes[0].wait(5) != 0
    assert _ours() == []


def test_a_thread_is_back_where_it_was() -> None:
    before = os.readlink("/proc/thread-self/ns/net")
    with wire() as w, w.near.entered():
        assert os.readlink("/proc/thread-self/ns/net") != before
    assert os.readlink("/proc/thread-self/ns/net") == before


def test_hosts_behind_the_modem_reach_the_operator() -> None:
    with lan_and_wan(hosts=2) as (hosts, w):
        for host in hosts:
            assert "1 received" in host.run("ping", "-c1", "-W3", w.far.address)
            assert "1 received" in host.run("ping", "-c1", "-W3", w.far.address6)
