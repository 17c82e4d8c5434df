"""Huawei: the carriers in use, ^HFREQINFO, ^CASCELLINFO and ^MONSSC (ME909, E3372, MH5000, MT5700M).

Source of the last two: the AT tables in the published source of Huawei's Balong modems, their syntax and examples.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.at.engine.grammar import Reading, at, hexadecimal, known, number, plain, unquote, values
from agent.at.engine.row import EXECUTE, READ, Command, Row
from agent.at.standard.band import LTE_BANDWIDTH, eutra_channel, eutra_number, eutra_place, nr_band, nr_channel
from agent.at.standard.figures import rsrp, rsrq, sinr


def read_frequency(lines: Sequence[str], command: Command) -> Reading | None:
    """^HFREQINFO: <n>,<sysmode>,{<class>,<dl arfcn>,<dl freq>,<dl bw kHz>,<ul arfcn>,<ul freq>,<ul bw>}…"""
    carriers: list[Reading] = []
    for line in lines:
        f = values(line)
        mode = number(at(f, 1), 0, 20)
        if mode not in _FREQUENCY_MODES:
            continue
        for start in range(2, len(f) - 6, 7):
            width = number(f[start + 3], 0, 400_000)
            carriers.append(
                {
                    "role": "SCC" if carriers else "PCC",
                    "band": eutra_number(f[start]) if mode == 6 else number(f[start], 1, 512),
                    "earfcn" if mode != 3 else "uarfcn": _channel(f[start + 1], mode),
                    "bandwidth_mhz": plain(width / 1000) if width else None,
                }
            )
    if not carriers:
        return None
    return {**{key: value for key, value in carriers[0].items() if key != "role"}, "carriers": carriers}


def _channel(raw: str, mode: int | None) -> int | None:
    if mode == 6:
        return eutra_channel(raw)
    return number(raw, 0, 16_383) if mode == 3 else nr_channel(raw)


_FREQUENCY_MODES = (3, 6, 7, 8)  # WCDMA, LTE, NR


def read_secondaries(lines: Sequence[str], command: Command) -> Reading | None:
    """^CASCELLINFO: <index>,<pci>,<rssi>,<rsrp>,<rsrq>,<band>,<ul channel>,<dl channel>,<ul freq>,<dl freq>,<ul width>,
    <dl width>: the secondary cells of LTE alone."""
    carriers: list[Reading] = []
    for f in map(values, lines):
        channel, band = eutra_place(at(f, 7), at(f, 5))
        width = number(at(f, 11), 0, 5)
        if len(f) >= 12 and channel is not None:
            place: Reading = {"role": "SCC", "band": band, "earfcn": channel, "pci": number(f[1], 0, 503)}
            strengths = {"rsrp_dbm": rsrp(f[3]), "rsrq_db": rsrq(f[4])}
            carriers.append({**place, "bandwidth_mhz": LTE_BANDWIDTH.get(-1 if width is None else width), **strengths})
    return {"carriers": carriers} if carriers else None


def read_second_leg(lines: Sequence[str], command: Command) -> Reading | None:
    """^MONSSC: NR,<channel>,<pci, hexadecimal>,<rsrp>,<rsrq>,<sinr>,<measured on>, a line a carrier; NONE without one.
    What was not measured is -1256, -348 and -188, eighths of values below the ranges."""
    legs = [leg for f in map(values, lines) if len(f) >= 6 and unquote(f[0]).upper() == "NR" and (leg := _leg(f))]
    none = any(unquote(f[0]).upper() == "NONE" for f in map(values, lines))
    if not legs:
        return {"access_technology": None, "nr": None} if none else None
    return {"access_technology": "NR-NSA", "nr": legs[0], "cells": legs}


def _leg(f: list[str]) -> Reading | None:
    channel = nr_channel(f[1])
    figures: Reading = {
        "rsrp_dbm": rsrp(f[3]),
        "rsrq_db": rsrq(f[4]),
        "sinr_db": sinr(f[5]),
    }
    return known({"earfcn": channel, "band": nr_band(channel), "pci": hexadecimal(f[2], 1007), **figures})


ROWS = (
    Row("^HFREQINFO", (READ, EXECUTE), read_frequency, "Huawei", "band earfcn bandwidth_mhz carriers"),
    Row(
        "^CASCELLINFO", (READ,), read_secondaries, "Huawei", "carriers: band earfcn pci bandwidth_mhz rsrp_dbm rsrq_db"
    ),
    Row("^MONSSC", (EXECUTE, READ), read_second_leg, "Huawei", "access_technology nr cells"),
)
