"""The scales of signal figures: what a number of each command means, and the document that says so.

A figure that comes as an index is read by its Scale, so that a range, a step and an offset stand in one place only. The
README's table of scales is made from `SCALES`.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.at.engine.grammar import number, rounded


@dataclass(frozen=True, slots=True)
class Scale:
    """An index from `low` to `high` stands for `index * step + offset`: the lower bound of its step."""

    command: str
    field: str
    low: int
    high: int
    step: float
    offset: float
    source: str

    def read(self, raw: str | None) -> float | int | None:
        """What an index means; None outside the range, where 99, 255 and their like stand for `unknown`."""
        index = number(raw, self.low, self.high)
        return None if index is None else rounded(index * self.step + self.offset)


CSQ_RSSI = Scale("+CSQ", "rssi_dbm", 0, 31, 2, -113, "27.007 8.5")
RXLEV = Scale("+CESQ", "rssi_dbm", 0, 63, 1, -111, "27.007 8.69")
RSCP = Scale("+CESQ", "rscp_dbm", 0, 96, 1, -121, "27.007 8.69")
ECNO = Scale("+CESQ", "ecio_db", 0, 49, 0.5, -24.5, "27.007 8.69")
RSRQ = Scale("+CESQ", "rsrq_db", 0, 34, 0.5, -20, "27.007 8.69")
RSRP = Scale("+CESQ", "rsrp_dbm", 0, 97, 1, -141, "27.007 8.69")
SS_RSRQ = Scale("+CESQ", "nr.rsrq_db", 0, 126, 0.5, -43.5, "27.007 8.69 (release 16)")
SS_RSRP = Scale("+CESQ", "nr.rsrp_dbm", 0, 126, 1, -157, "27.007 8.69 (release 16)")
SS_SINR = Scale("+CESQ", "nr.sinr_db", 0, 127, 0.5, -23.5, "27.007 8.69 (release 16)")
XMM_SNR = Scale("+XCESQ", "sinr_db", -100, 100, 0.5, 0, "ModemManager, mm-modem-helpers-xmm.c: <rssnr>")
QCSQ_SINR = Scale("+QCSQ", "sinr_db", 0, 250, 0.2, -20, "Quectel EC2x&EG9x AT manual, +QCSQ: <lte_sinr>")
NR_SINR = Scale("+QCSQ", "nr.sinr_db", -23, 40, 1, 0, "Quectel RM5xxQ AT manual, +QCSQ: <nr5g_sinr> in dB")
_MM_HUAWEI = "ModemManager, mm-broadband-modem-huawei.c: ^HCSQ"
_HUAWEI_NR = f"{_MM_HUAWEI}; NR in the scales of LTE"
HCSQ_RSSI = Scale("^HCSQ", "rssi_dbm", 0, 96, 1, -121, _MM_HUAWEI)
HCSQ_RSCP = Scale("^HCSQ", "rscp_dbm", 0, 96, 1, -121, _MM_HUAWEI)
HCSQ_ECIO = Scale("^HCSQ", "ecio_db", 0, 65, 0.5, -32.5, _MM_HUAWEI)
HCSQ_RSRP = Scale("^HCSQ", "rsrp_dbm", 0, 97, 1, -141, _HUAWEI_NR)
HCSQ_SINR = Scale("^HCSQ", "sinr_db", 0, 251, 0.2, -20.2, _HUAWEI_NR)
HCSQ_RSRQ = Scale("^HCSQ", "rsrq_db", 0, 34, 0.5, -20, _HUAWEI_NR)
NRF_SNR = Scale("%XSNRSQ", "sinr_db", 0, 49, 1, -25, "Nordic nRF91x1 AT reference, %XSNRSQ: <snr>")
CAINFO_SINR = Scale("#CAINFO", "sinr_db", 0, 250, 0.2, -20, "Telit LM940/LM960 AT reference, #CAINFO: <sinr>")
TENTHS_RSRP = Scale("+MUESTATS", "rsrp_dbm", -1560, -300, 0.1, 0, "China Mobile ML307 AT manual, +MUESTATS: 0.1 dBm")
TENTHS_RSRQ = Scale("+MUESTATS", "rsrq_db", -435, 200, 0.1, 0, "China Mobile ML307 AT manual, +MUESTATS: 0.1 dB")
TENTHS_RSSI = Scale("+MUESTATS", "rssi_dbm", -1300, -100, 0.1, 0, "China Mobile ML307 AT manual, +MUESTATS: 0.1 dBm")
TENTHS_SINR = Scale("+MUESTATS", "sinr_db", -300, 500, 0.1, 0, "China Mobile ML307 AT manual, +MUESTATS: 0.1 dB")

_PLAIN = "in dBm and dB as they stand"
# What comes in dBm and dB needs no scale, but a document that says so.
PLAIN: dict[str, str] = {
    "+QENG": f"Quectel EC2x&EG9x and RM5xxQ AT manuals, +QENG: strengths {_PLAIN}; <sinr>: see `settle_sinr`",
    "+QCSQ": f"Quectel EC2x&EG9x AT manual: all but <sinr> {_PLAIN}; EG21-G and EC200 leave the sign of RSSI out",
    "+QCAINFO": f"Quectel EG06&EP06 and RM5xxQ AT manuals, +QCAINFO: {_PLAIN}",
    "+QRSRP, +QRSRQ, +QSINR": f"Quectel RM5xxQ AT manual: {_PLAIN}; -32768 is no antenna",
    "^MONSC, ^LTERSRP": f"Huawei ME909s AT manual: {_PLAIN}",
    "^MONSSC, ^CASCELLINFO": f"Huawei Balong, its published AT tables: {_PLAIN}",
    "#RFSTS, #MONI, #SERVINFO, #CSURV": f"Telit LE910Cx and LM960 AT references: {_PLAIN}",
    "^RFSTS": "replies of Telit LN940 (Foxconn T77W676): the columns of #RFSTS; <sinr> has decimals and is in dB",
    "!GSTATUS, !LTEINFO": f"Sierra Wireless EM74xx and EM75xx AT references: {_PLAIN}, by label",
    "^SMONI": f"Cinterion PLS8 AT command set, ^SMONI: {_PLAIN}",
    "+ZRSSI": "replies of ZTE MF286 and MF286D: RSRP, RSRQ, RSSI, SINR in dBm and dB; older sticks give magnitudes",
    "$QCRSRP, +RSRP": f"Qualcomm's and Intel's own commands: {_PLAIN}, quoted or with two decimals",
    "^DEBUG": f"Foxconn T77W968 and T99W175 replies: {_PLAIN}, by label",
    "+SQNMONI": f"Sequans GM02S AT reference, +SQNMONI: {_PLAIN}",
    "^CELLINFO": "QModem, parsers/meig: RSRP and RSRQ as they stand, <sinr> in tenths",
    "+SGCELLINFOEX": "ROOter, meigdata.sh: RSRP, RSRQ and RSSI as they stand; <sinr> is left out",
    "+CCINFO": "replies of SIM5320: RXLEV in dBm, RSCP and ECIO magnitudes of dBm and dB",
    "+NETDMSGEX": "QModem, parsers/neoway: all in tenths",
    "+XMCI": "ModemManager, mm-modem-helpers-xmm.c: the scales of +CESQ, <rssnr> that of +XCESQ",
    "+UCGED, +UCELLINFO, +CGED": "u-blox TOBY-L2 and LARA-R2 AT manuals: the scales of +CESQ; a sign means plain dBm",
    "%CESQ, %XMONITOR, %CONEVAL, %NCELLMEAS": "Nordic nRF91x1 AT reference: the scales of +CESQ",
    "+GTCCINFO, +GTCAINFO": "Fibocom FM350 AT manual: the scales of +CESQ (release 16 for NR); SINR is left raw",
    "+CPSI": "SIMCom SIM7500_SIM7600 AT manual, +CPSI: tenths of dBm and dB; plain on SIM7000, those of +CESQ on A76xx",
    "+EEMLTESVC, +CCED": "openLuat AT manual and replies of Air720 and Air724: the scales of +CESQ; SINR is left raw",
}
SCALES: tuple[Scale, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Scale))
