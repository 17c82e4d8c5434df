# ruff: noqa: E501  (a table: one form a row)
"""Shapes that vendors' manuals and the AT facts give, beyond the recorded sample: a row a form, and its meaning."""

from __future__ import annotations

from typing import Any

import pytest

from agent.at import decode
from agent.at.standard.error_codes import meaning
from tests.at.test_corpus import look_up

GSTATUS = (
    "!GSTATUS: \r\nCurrent Time:  6245\t\tTemperature: 36\r\nSystem mode: LTE\t\tPS state:    Attached\r\n"
    "LTE band:    B2\t\tLTE bw:      20 MHz\r\nLTE Rx chan: 900\t\tLTE Tx chan: 18900\r\n"
    "PCC RxM RSSI: -45\t\tRSRP (dBm): -81\r\nTx Power:    --\t\tTAC: 8C65 (35666)\r\n"
    "RSRQ (dB):   -11.2\t\tCell ID: 0A14666A (169109098)\r\nSINR (dB):    9.2"
)
ROWS: list[tuple[str, str, dict[str, Any]]] = [
    # -- identity and SIM
    ("AT+CGMM", '+CGMM: "EC25"', {"model": "EC25"}),
    ("AT+CGMI", "Manufacturer: Sierra Wireless", {"manufacturer": "Sierra Wireless"}),
    ("AT+CGSN", "+CGSN: 352656100367872", {"imei": "352656100367872"}),
    ("AT+CGSN=1", '+CGSN: "352656100367872"', {"imei": "352656100367872"}),
    ("AT+GSN", "35265610036787201", {"imei": "352656100367872"}),
    ("AT+CIMI", "206011234567890", {"imsi": "206011234567890"}),
    ("AT+QCCID", "+QCCID: 8932010000000000000F", {"iccid": "8932010000000000000"}),
    ("AT^ICCID?", "^ICCID: 98230100000000000000", {"iccid": "89321000000000000000"}),
    ("AT#CCID", "#CCID: 8932010000000000000", {"iccid": "8932010000000000000"}),
    ("AT+CRSM=176,28423,0,0,9", '+CRSM: 144,0,"082906110021436587"', {"imsi": "260110012345678"}),
    ("AT+CRSM=176,28589,0,0,4", '+CRSM: 144,0,"00000002"', {"mnc_length": 2}),
    ("AT+CRSM=176,28486,0,0,17", '+CRSM: 144,0,"0050726F78696D7573FFFFFFFFFFFFFFFF"', {"service_provider": "Proximus"}),
    ("AT+CRSM=176,12258,0,0,10", "+CRSM: 106,130", {"sw1": 106, "sw2": 130, "response": None}),
    ("AT+QPINC?", '+QPINC: "SC",3,10\r\n+QPINC: "P2",2,9', {"pin_attempts": 3, "puk_attempts": 10, "pin2_attempts": 2}),
    ("AT^CPIN?", "^CPIN: READY,,10,3,10,3", {"lock": "none", "pin_attempts": 3, "puk_attempts": 10}),
    ("AT#PCT", "#PCT: 3", {"pin_attempts": 3}),
    ("AT+SPIC", "+SPIC: 3,10,2,9", {"pin_attempts": 3, "puk_attempts": 10, "pin2_attempts": 2, "puk2_attempts": 9}),
    ('AT+CPINR="SIM PIN"', "+CPINR: SIM PIN,3,3", {"pin_attempts": 3}),
    ("AT+CPINC?", "+CPINC: 3,3,10,10", {"pin_attempts": 3, "puk_attempts": 10}),
    ('AT+CSIM=10,"0020000100"', '+CSIM: 4,"63C0"', {"pin_attempts": 0, "blocked": True}),
    ('AT+CSIM=10,"002C000100"', '+CSIM: 4,"63CA"', {"puk_attempts": 10}),
    ("AT+CPIN?", "+CPIN: PH-NET PIN", {"lock": "ph-net-pin", "usable": False}),
    ('AT+CLCK="SC",2', "+CLCK: 1", {"enabled": True}),
    ("AT+CNUM", '+CNUM: ,"+32470000000",145', {"msisdn": "+32470000000"}),
    # -- the network
    ("AT+CEREG?", "+CEREG: 5,3,,,,0,15", {"stat": 3, "cause_type": 0, "reject_cause": 15, "tac": None}),
    ("AT+CGATT?", "+CGATT: 0", {"attached": False}),
    ("AT+COPS?", '+COPS: 0,0,"00500072006F00780069006D00750073",7', {"operator": "Proximus", "plmn": None}),
    ("AT+COPS=?", '+COPS: (2,"T-Mobile\r","TMO","31026",0),(1,"A (x)","A,T","310410",2)', {"networks.1.short": "A,T"}),
    ("AT+COPS=?", "+COPS: (2,Telenet,TEL,20605,7)", {"networks.0.operator": "Telenet", "plmn": "20605"}),
    ("AT+COPS=?", '+COPS: (1,"","","20610",7)', {"networks.0.plmn": "20610", "plmn": None}),
    ("AT^EONS=1", '^EONS:1,20601,"Proximus","PXS"', {"plmn": "20601", "operator": "Proximus"}),
    ("AT+COPN", '+COPN: "20601","Proximus"\r\n+COPN: "20610","BASE"', {"operators.1.plmn": "20610"}),
    ("AT+CSPN?", '+CSPN: "Proximus",0', {"service_provider": "Proximus"}),
    ("AT+CSCS?", '+CSCS: "GSM"', {"charset": "GSM"}),
    ("AT+CTZU=?", "+CTZU: (0,1,3)", {"values": [[0, 1, 3]]}),
    # -- signal
    ("AT+CSQ", "+CSQ: 99,99", {"rssi_dbm": None, "rssi_index": 99}),
    ("AT+CSQ", "+CSQ: 0,0", {"rssi_dbm": -113, "ber": 0}),
    ("AT+CSQ", "+CSQ: 131,99", {"rssi_dbm": None}),
    ("AT+CESQ", "+CESQ: 99,99,255,255,255,255,46,62,47", {"rsrp_dbm": -95, "rsrq_db": -20.5, "sinr_db": 0}),
    ("AT+CESQ", "+CESQ: 99,99,40,30,255,255", {"rscp_dbm": -81, "ecio_db": -9.5, "rsrp_dbm": None}),
    ("AT+QCSQ", '+QCSQ: "LTE",66,-94,142,-9', {"rssi_dbm": -66}),
    ("AT+QCSQ", '+QCSQ: "NR5G",-95,13,-10', {"rsrp_dbm": -95, "sinr_db": 13, "rsrq_db": -10, "rssi_dbm": None}),
    ("AT+QCSQ", '+QCSQ: "NR5G",-95,165,-10', {"rsrp_dbm": -95, "sinr_db": None, "rsrq_db": -10}),
    ("AT+QCSQ", '+QCSQ: "WCDMA",-70,-80,-5', {"rssi_dbm": -70, "rscp_dbm": -80, "ecio_db": -5}),
    ("AT+QCSQ", '+QCSQ: "GSM",-70', {"rssi_dbm": -70}),
    ('AT+QENG="servingcell"', '+QENG: "servingcell","NOCONN","GSM",250,99,DC51,B919,26,50,-,-73,255,255,0,38,38,1,-,-',
     {"plmn": "25099", "lac": 0xDC51, "ci": 0xB919, "bsic": 26, "arfcn": 50, "rssi_dbm": -73}),
    ('AT+QENG="neighbourcell"', '+QENG: "neighbourcell intra","LTE",1850,193,-11,-100,-67,0,37,7,16,6,44',
     {"neighbours.0.rsrp_dbm": -100, "neighbours.0.rsrq_db": -11}),
    ("AT+QNWINFO", "+QNWINFO: No Service", {"service": False, "band": None}),
    ("AT+QCAINFO", '+QCAINFO: "PCC",275,75,"LTE BAND 1",1,280,-99,-14,-66,7\r\n+QCAINFO: "SCC",1350,100,"LTE BAND 3",2,181,'
     '-105,-16,-75,2\r\n+QCAINFO: "SCC",648768,10,"NR5G BAND 78",1,920,0,-,-',
     {"carriers#": 3, "carriers.1.band": 3, "carriers.1.state": 2, "carriers.2.band": 78, "carriers.2.rsrp_dbm": None}),
    ("AT+QTEMP", '+QTEMP: "xo_therm_buf","35"\r\n+QTEMP:"aoss0-usr","26"\r\n+QTEMP: "off","-273"', {"temperature_c": 35}),
    ("AT+QGDCNT?", "+QGDCNT: 3832,4618", {"bytes_sent": 3832, "bytes_received": 4618}),
    ("AT+QSIMSTAT?", "+QSIMSTAT: 0,1", {"inserted": True}),
    ("AT+QIACT?", '+QIACT: 1,1,1,"10.7.157.1"', {"address": "10.7.157.1", "contexts.0.active": True}),
    # -- Huawei
    ("AT^HCSQ?", '^HCSQ:"WCDMA",30,30,58', {"rssi_dbm": -91, "rscp_dbm": -91, "ecio_db": -3.5}),
    ("AT^HCSQ?", '^HCSQ:"GSM",36', {"rssi_dbm": -85}),
    ("AT^HCSQ?", '^HCSQ:"LTE",255,255,255,255', {"rssi_dbm": None, "rsrp_dbm": None, "sinr_db": None, "rsrq_db": None}),
    ("AT^HCSQ?", '^HCSQ:"NR",58,165,22', {"rsrp_dbm": -83, "sinr_db": 12.8, "rsrq_db": -9}),
    ("AT^SYSINFOEX", "^SYSINFOEX:2,3,0,1,0,3,WCDMA,41,HSPA+", {"access_technology": "UMTSHSPA", "sys_submode": 41}),
    ("AT^MONSC", "^MONSC: LTE,206,01,1300,27AD801,EB,95A4,-105,-12,-73",
     {"plmn": "20601", "band": 3, "ci": 0x27AD801, "pci": 0xEB, "tac": 0x95A4, "rsrp_dbm": -105, "rssi_dbm": -73}),
    ("AT^MONSC", "^MONSC: WCDMA,206,01,10763,58,6FE0090,75,-78,-66,-3,6,-", {"psc": 58, "rscp_dbm": -78, "ecio_db": -3}),
    ("AT^MONSC", "^MONSC: GSM,206,01,2,50,26,B919,DC51,-73,0,0", {"arfcn": 50, "lac": 0xDC51, "rssi_dbm": -73}),
    ("AT^HFREQINFO?", "^HFREQINFO: 0,6,3,1300,18150,20000,19300,17200,20000", {"band": 3, "earfcn": 1300, "bandwidth_mhz": 20}),
    ("AT^CHIPTEMP?", "^CHIPTEMP: 300,290,300,28,65535", {"temperature_c": 30}),
    ("AT^LTERSRP?", "^LTERSRP:-101,-9", {"rsrp_dbm": -101, "rsrq_db": -9}),
    ("AT^DSFLOWQRY", "^DSFLOWQRY:0000003C,00000100,00000200,0000003C,0000000000001000,0000000000002000",
     {"bytes_sent": 0x1000, "bytes_received": 0x2000}),
    # -- SIMCom
    ("AT+CPSI?", "+CPSI: LTE,Online,206-01,0x5A1E,187214780,257,EUTRAN-BAND3,1850,5,0,21,57,212,19",
     {"rsrp_dbm": -84, "rsrq_db": -9.5, "band": 3}),
    ("AT+CPSI?", "+CPSI: LTE CAT-M1,Online,206-01,0x1816,27541536,64,EUTRAN-BAND20,6300,3,3,-11,-97,-68,14",
     {"rsrp_dbm": -97, "rsrq_db": -11, "rssi_dbm": -68, "sinr_db": 14}),
    ("AT+CPSI?", "+CPSI: NR5G_SA,Online,206-01,0x6268,25743691776,353,NR5G_BAND78,627264,-800,-110,32",
     {"rsrp_dbm": -80, "rsrq_db": -11, "sinr_db": None, "sinr_raw": 32, "band": 78}),
    ("AT+CPSI?", "+CPSI: WCDMA,Online,206-01,0xA809,11122855,WCDMA IMT 2000,279,10663,0,1.5,62,33,52,500",
     {"rscp_dbm": -62, "ecio_db": -1.5, "psc": 279, "uarfcn": 10663, "lac": 0xA809}),
    ("AT+CPSI?", "+CPSI: GSM,Online,206-01,0x182d,12401,27 EGSM 900,-64,2110,42-42", {"rssi_dbm": -64, "lac": 0x182D}),
    ("AT+CNSMOD?", "+CNSMOD: 0,8", {"access_technology": "LTE"}),
    ("AT+CPMUTEMP", "+CPMUTEMP: 34", {"temperature_c": 34}),
    ("AT$QCRMCALL?", "$QCRMCALL: 1,V4", {"data_call_active": True}),
    # -- Telit, Sierra, u-blox, Fibocom, ZTE, Nordic
    ("AT#RFSTS", '#RFSTS: "204 04",1001,-80,00DE,01,5,19,10,2,9878,"204040000000000","vodafone NL",1,2',
     {"plmn": "20404", "arfcn": 1001, "rssi_dbm": -80, "ci": 0x9878}),
    ("AT#RFSTS", '#RFSTS: "206 01",10763,58,-3.0,-78,-66,0075,01,,64,19,1,,,6FE0090,"206010000000000","Proximus",3,4',
     {"access_technology": "UMTS", "psc": 58, "rscp_dbm": -78, "lac": 0x75, "ci": 0x6FE0090}),
    ("AT#RFSTS", "#RFSTS: ,,,,,,,,,,,,,,,", {"plmn": None, "rsrp_dbm": None}),
    ("AT#MONI", "#MONI: Proximus RSRP:-101 RSRQ:-13 TAC:2D18 Id:3089F02 EARFCN:1850 PWR:-68dbm DRX:640 pci:12",
     {"rsrp_dbm": -101, "rssi_dbm": -68, "band": 3, "pci": 12, "ci": 0x3089F02}),
    ("AT#QSS?", "#QSS: 2,1", {"inserted": True, "status": 1}),
    ("AT#PSNT?", "#PSNT: 0,4", {"access_technology": "LTE"}),
    ("AT#TEMPMON=1", "#TEMPMEAS: 0,29", {"temperature_c": 29}),
    ("AT#SERVINFO", '#SERVINFO: 1001,-80,"vodafone NL","20404",21,00DE,01,1,I,01,6', {"plmn": "20404", "rssi_dbm": -80}),
    ("AT#ECM?", "#ECM: 0,1", {"data_call_active": True}),
    ("AT#BND?", "#BND: 0,3,524420", {"lte_band_mask": 524420}),
    ("AT!GSTATUS?", GSTATUS, {"rsrp_dbm": -81, "rssi_dbm": -45, "sinr_db": 9.2, "tac": 0x8C65, "ci": 0x0A14666A, "band": 2}),
    ("AT!PCTEMP?", "Temperature state: Normal\r\nTemperature: 29.71", {"temperature_c": 29.71}),
    ("AT+UCGED?", '+UCGED: 5\r\n+RSRP: 162,5110,"-075.00",\r\n+RSRQ: 162,5110,"-14.20",',
     {"pci": 162, "earfcn": 5110, "rsrp_dbm": -75, "rsrq_db": -14.2, "band": 12}),
    ("AT+UCGED?", "+UCGED: 2\r\n6,4,206,01\r\n1300,3,75,75,2ed9,1b5a204,200,d60814d1,8001,01,46,20,13.75,3,1,9,46",
     {"plmn": "20601", "earfcn": 1300, "band": 3, "tac": 0x2ED9, "pci": 200, "rsrp_dbm": -95, "rsrq_db": -10}),
    ("AT+URAT?", "+URAT: 4,3", {"modes": ["2g", "3g", "4g"], "preferred": "4g"}),
    ("AT+XCESQ?", "+XCESQ: 0,99,99,255,255,19,46,-6", {"sinr_db": -3}),
    ("AT+GTCCINFO?", "+GTCCINFO:\r\nLTE service cell:\r\n1,4,206,01,1C2F,6A3C103,709,2B,103,100,17,46,46,20",
     {"earfcn": 0x709, "pci": 0x2B, "band": 3, "rsrp_dbm": -95, "rsrq_db": -10}),
    ("AT+GTCCINFO?", "+GTCCINFO:\r\nNR service cell:\r\n1,9,206,01,1C2F,6A3C103,627264,353,5078,100,72,62,62,67",
     {"band": 78, "rsrp_dbm": -95, "rsrq_db": -10}),
    ("AT+GTSENRDTEMP=1", "+GTSENRDTEMP: 1,45300", {"temperature_c": 45.3}),
    ("AT+ZCELLINFO?", "+ZCELLINFO: 1A2D007, 270, LTE B3, 1300", {"ci": 0x1A2D007, "pci": 270, "band": 3, "earfcn": 1300}),
    ("AT+ZRSSI", "+ZRSSI: -95,-10,-65", {"rsrp_dbm": -95, "rsrq_db": -10, "rssi_dbm": -65}),
    ("AT%XMONITOR", '%XMONITOR: 1,"EDAV","EDAV","26295","00B7",7,4,"00011B07",7,2300,63,39,"","11100000","11100000"',
     {"plmn": "26295", "tac": 0xB7, "rsrp_dbm": -78, "sinr_db": 14, "pci": 7}),
    ("AT%CESQ", "%CESQ: 54,2,16,2", {"rsrp_dbm": -87, "rsrq_db": -12}),
    ("AT%CONEVAL", '%CONEVAL: 0,1,5,46,20,38,"011B0780","26295",7,1575,3,1,1,23,16,32,130', {"rsrp_dbm": -95, "plmn": "26295"}),
    ("AT%NCELLMEAS", '%NCELLMEAS: 0,"00011B07","26295","00B7",10512,2300,7,46,20,150344527', {"band": 4, "rsrp_dbm": -95}),
    # -- packet data, time, messages, state
    ("AT+CGDCONT?", '+CGDCONT: 1,"IP","internet"\r\n+CGDCONT: 2,"IPV6",""', {"apn": "internet", "contexts.1.apn": None}),
    ("AT+CGPADDR=1", '+CGPADDR: 1,"32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.1"', {"address": "2001:db8::1"}),
    ("AT+CGPADDR=1", "+CGPADDR: 1", {"address": None, "cid": 1}),
    ("AT+CGCONTRDP=1", "+CGCONTRDP: 1,5,internet,10.1.2.3.255.255.255.248,10.1.2.4,8.8.8.8",
     {"address": "10.1.2.3", "subnet": "255.255.255.248", "gateway": "10.1.2.4", "dns1": "8.8.8.8", "dns2": None}),
    ("AT*E2IPCFG?", '*E2IPCFG: (1,"46.157.32.246")(2,"46.157.32.243")(3,"193.213.112.4")(3,"130.67.15.198")',
     {"address": "46.157.32.246", "ipv4_gateway": "46.157.32.243", "ipv4_dns2": "130.67.15.198"}),
    ("AT+QLTS=2", '+QLTS: "2017/10/13,11:41:22+32",0', {"time": "2017-10-13T11:41:22+08:00"}),
    ("AT+CCLK?", '+CCLK: "80/01/06,00:00:14+00"', {"time": None}),
    ("AT+CCLK?", '+CCLK: "2026/11/22,08:00:00+04"', {"time": "2026-11-22T08:00:00+01:00"}),
    ("AT+CCLK?", '+CCLK: "26/02/30,08:00:00+04"', {"time": None}),
    ("AT+CMGS=19", "+CMGS: 12", {"reference": 12}),
    ('AT+CMGL="ALL"', '+CMGL: 1,"REC UNREAD","+32470000000",,"26/11/22,08:00:00+04"\r\nHello\r\nworld\r\n'
     '+CMGL: 2,"REC READ","1234",,"26/11/22,08:00:00+04"\r\n00480065006C006C006F',
     {"messages#": 2, "messages.0.text": "Hello\nworld", "messages.1.text": "Hello", "messages.0.from": "+32470000000"}),
    ("AT+CMGR=1", "+CMGR: 1,,24\r\n07912374151616F6040B91", {"messages.0.status": 1, "messages.0.pdu_length": 24}),
    ("AT+CPMS?", '+CPMS: "ME",3,23,"ME",3,23,"SM",0,10', {"memories.2.memory": "SM", "memories.0.used": 3}),
    ('AT+CPMS="ME"', "+CPMS: 3,23,3,23,3,23", {"memories.0.total": 23}),
    ("AT+CSCA?", '+CSCA: "+32475161616",145', {"smsc": "+32475161616"}),
    ("AT+CMGF?", "+CMGF: 0", {"mode": "pdu"}),
    ("AT+CUSD?", "+CUSD: 1", {"ussd_state": 1}),
    ("AT+CFUN?", "+CFUN: (0-1,4-7,129),(0-1)", {}),
    ("AT+CFUN?", "+CFUN: 19", {"fun": 19, "radio": False}),
    ("AT+CEER", "+CEER: EPS_AND_NON_EPS_SERVICES_NOT_ALLOWED", {"cause": "EPS_AND_NON_EPS_SERVICES_NOT_ALLOWED"}),
    ("AT+CPAS", "+CPAS: 0", {"activity": 0}),
    ("AT+CIND=?", '+CIND: ("signal",(0-5)),("service",(0,1))', {"indicators.0.max": 5, "indicators.1.name": "service"}),
    ("AT+CIND?", "+CIND: 4,1", {"values": [4, 1]}),
    ("AT+CBC", "+CBC: 0,82,3900", {"battery_percent": 82, "millivolts": 3900}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "reply", "wanted"), ROWS, ids=lambda value: value[:40] if isinstance(value, str) else ""
)
def test_a_shape_means_what_its_manual_says(command: str, reply: str, wanted: dict[str, Any]) -> None:
    found = decode(command, f"\r\n{reply}\r\n\r\nOK\r\n")
    assert (found["final"], found["unsolicited"], found["stray"]) == ("OK", [], [])
    assert (found["reading"] is None) == (not wanted)
    for path, value in wanted.items():
        assert look_up(found["reading"], path) == value, path


NEWS: list[tuple[str, dict[str, Any]]] = [
    ('+CTZE: "+08",0,"2019/08/12,10:00:00"', {"utc_offset_minutes": 120}),
    ("+CTZV: +4", {"utc_offset_minutes": 60}),
    ('+QIURC: "pdpdeact",1', {"type": "pdpdeact", "cid": 1}),
    ('^HCSQ:"LTE",30,46,166,20', {"rsrp_dbm": -95}),
    ('+CMTI: "ME",3', {"memory": "ME", "index": 3}),
    ("+CGEV: ME PDN ACT 2, 3, 1", {"event": "me-act-primary", "cid": 2, "reason": 3, "cid_other": 1}),
    ("+CGEV: NW MODIFY 2, 1, 3", {"event": "nw-modify", "cid": 2}),
    ('+CGEV: NW CLASS "A"', {"event": "nw-class", "class": "A"}),
    ('+CGEV: REJECT "IP", "10.0.0.1"', {"event": "reject", "address": "10.0.0.1"}),
    ('+CPIN: NOT READY', {"lock": "not-ready"}),
]  # fmt: skip


@pytest.mark.parametrize(("line", "wanted"), NEWS, ids=lambda value: value[:30] if isinstance(value, str) else "")
def test_news_means_what_its_clause_says(line: str, wanted: dict[str, Any]) -> None:
    found = decode("(URC)", f"\r\n{line}\r\n")
    assert found["unsolicited"] == [line]
    for path, value in wanted.items():
        assert look_up(found["reading"], path) == value, path


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [("CME", 10, "SIM not inserted"), ("CMS", 500, "unknown error"), ("CME", 999, "CME error 999"), ("CME", "odd", "odd"),
     ("EXT", 3, "EXT 3"), ("ERROR", None, "ERROR")],
)  # fmt: skip
def test_an_error_in_words(name: str, code: int | str | None, words: str) -> None:
    assert meaning(name, code) == words
