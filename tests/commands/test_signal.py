"""`modem.signal` against the simulated module: few commands, fresh values, and nothing invented."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.commands.rows.signal import listen
from agent.config import ModemSettings
from agent.errors import CommandTimeout
from agent.modem import Modem, Reading
from simulator import Running, serve


async def opened(module: Running, tmp_path: Path) -> Modem:
    modem = Modem(ModemSettings(port=module.path), lock_directory=tmp_path)
    await modem.open()
    return modem


def test_it_hears_what_the_antenna_does(tmp_path: Path) -> None:
    with serve("quectel-ec25", link=tmp_path / "modem", pace=0.05) as module:

        async def main() -> tuple[Reading, Reading]:
            modem = await opened(module, tmp_path)
            try:
                module.set("rsrp", -95)
                first = await listen(modem)
                module.set("rsrp", -112)
                module.set("sinr", -2)
                return first, await listen(modem)
            finally:
                modem.close()

        first, second = asyncio.run(main())
    assert first.signal.rsrp_dbm == pytest.approx(-95, abs=1)
    assert second.signal.rsrp_dbm == pytest.approx(-112, abs=1)
    assert second.signal.sinr_db == pytest.approx(-2, abs=0.5)
    assert second.registration.ci is not None
    assert second.access_technology == "LTE"
    assert second.identity.imei is None  # not asked, not invented


def test_a_module_that_hangs_is_a_timeout_not_an_empty_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.commands.rows.signal.LISTEN_S", 0.2)
    with serve("quectel-ec25", link=tmp_path / "modem", pace=0.05) as module:

        async def main() -> None:
            modem = await opened(module, tmp_path)
            try:
                module.fault("hang")
                await listen(modem)
            finally:
                modem.close()

        with pytest.raises(CommandTimeout):
            asyncio.run(main())


@pytest.mark.parametrize("profile", ["simcom-sim7600", "huawei-me909", "telit-le910", "sierra-mc7455", "generic-27007"])
def test_other_vendors_tell_a_signal_too(tmp_path: Path, profile: str) -> None:
    with serve(profile, link=tmp_path / "modem", pace=0.05) as module:

        async def main() -> Reading:
            modem = await opened(module, tmp_path)
            try:
                return await listen(modem)
            finally:
                modem.close()

        reading = asyncio.run(main())
    assert reading.signal.rssi_dbm is not None or reading.signal.rsrp_dbm is not None
