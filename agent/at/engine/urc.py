"""Unsolicited result codes: how a line is known to be news, and not an answer.

Called by the engine for every line that the pending command did not declare. 27.007 and 27.005 name the generic ones;
the rest was seen on modules of the vendors named in each row.
"""

from __future__ import annotations

import re

from agent.at.engine.grammar import prefix_of

# Vendor (or specification) -> prefixes of what it reports unasked.
_PREFIXES: dict[str, str] = {
    "27.007": (
        "+CREG +CGREG +CEREG +C5GREG +CGEV +CIEV +CTZV +CTZE +CTZDST +NITZ +CUSD +CRING +CLIP +CLIR +CCWA "
        "+COLP +CDIP +CSSI +CSSU +CUSATP +CUSATEND +CUSATS +CCIN +CSCON +CIREPI +CIREPH +CIREGU +CEDRXP "
        "+CNEMIU +CPINR +CKEV +CALA +CALV +CTZEU +CPSDEP +CRTDCP +CRTDCPN +CABTSRI +CMWI +CCIOTOPTI +C5GQOS +CEPPI "
        "+CMCCSI +CECN +CLADNU +ILRR +ER +DR"
    ),
    "27.005": "+CMTI +CMT +CDS +CDSI +CBM +CBMI",
    "Quectel": (
        "+QIND +QUSIM +QSIMSTAT +QIURC +QNETDEVSTATUS +QLWURC +QGPSURC +QSSLURC +QURCCFG +QSTK +QSTKURI "
        "+QNWLOCK +QMTSTAT +QMTRECV +QMTOPEN +QMTCONN +QMTPUB +QMTSUB +QMTDISC +QMTCLOSE +QHTTPGET +QHTTPPOST +QPING "
        "+QNTP +QUSBCFG +QJDR +QNETDEVCTL +QIOPEN +QSSLOPEN +QSMTPPUT +QFTPOPEN +QSCLK +QURC +QLWEVTIND +QEVTIND"
    ),
    "SIMCom": (
        "*ATREADY +CNSMOD +SIMCARD +SMS_FULL +STKPCI +CPNETAPN +UGNSINF +NETOPEN +CIPEVENT +IPCLOSE "
        "+CGNSSINFO *PSUTTZ *PSNWID +EEMLTESVC +EEMGINFOBASIC +CMWT +CTEMP +CPMVT +STIN +CIPOPEN +CIPERROR +CIPCLOSE "
        "+CMQTTCONNLOST +CMQTTRXSTART +CMQTTRXTOPIC +CMQTTRXPAYLOAD +CMQTTRXEND +CMQTTNONET +PDP +CSMINS +CMTE "
        "+CHTTPACT +HTTPACTION +CNTP +RECEIVE +SMPUBLISH"
    ),
    "Huawei": (
        "^BOOT ^RSSI ^HCSQ ^MODE ^SIMST ^SRVST ^DSFLOWRPT ^NDISSTAT ^NDISEND ^EONS ^LTERSRP ^RFSWITCH ^LWURC "
        "^STIN ^ORIG ^CONF ^CONN ^CEND ^CRSSI ^ANLEVEL ^HRSSILVL ^DATACLASS ^NWNAME ^NWTIME ^ACTIVEBAND "
        "^SMMEMFULL ^CSNR ^CERSSI ^THERM ^DDTMF ^CSSU ^PARA ^ECCLIST ^PLMN ^USSD ^EARST ^IMSISTATE ^TIME "
        "^CONNST ^SYSCFGEX_URC ^SPN ^XLEMA ^REJINFO ^DCONN ^DEND ^NWURC ^STSF ^SIMRESULT ^CUSATP ^HSQ "
        "^LOCATION ^CCALLSTATE ^JAMDETECT ^HFREQINFO ^WEND ^FREQLOCK ^LCACELLURC ^EVENT ^TLOAD ^PSTANDBY ^USIMSTUB "
        "^SERVSTATE ^LWCLASH ^HWNAT ^REJCAUSE ^PDCPDATAINFO ^USBSTAT ^NWSCANURC ^MDMEXCP"
    ),
    "Telit": (
        "#QSS #PSNT #ECMURC #NITZ #SIMPR #CMTI #STN #SRING #AGPSRING #SLED #JDR #TEMPMON #TEMPMEAS #MONI_URC #MWI "
        "#NWEN #ENHRST #MTRACE #FTPMSG #SMSR #PLMNMODE #CEFC #E2ESC"
    ),
    "Cinterion": (
        "^SYSSTART ^SHUTDOWN ^SYSLOADING ^EXIT ^SCKS ^SLCC ^SSTN ^SBC ^SIS ^SISR ^SISW ^SMGO ^SRADC ^SSIM ^SCTM_B "
        "^SCTM_A ^SGAPN ^SJRA"
    ),
    "MBM": "*E2REG *EMRDY *E2NAP *E2CFUN *ESTKPCI *ESTKSMENU *ERINFO *EPEV *E2GPSSTAT *EMWI *ECAV",
    "Icera": "%NWSTATE %IPDPACT %STATCM %PCOINFO %NOTIFYEV %CMATT %CMATTACHED %ITEMP %TSIMINSERT %XTIME",
    "Nordic": (
        "%CESQ %XTIME %MDMEV %XSIM %XICCID %XMODEMSLEEP %XT3412 %NCELLMEAS %LWM2M %XMTNETINFO %PERIODICSEARCH "
        "%CELLULARPRFL %PDNACT %XRAI %REL14FEAT"
    ),
    "Option": "_OSIGQ _OWCTI _OWANCALL _OSSYS _OHCIP _OLCC _OUWCTI",
    "ZTE": "+ZUSIMR +ZDONR +ZPASR +ZPSTM +ZEND +ZURDY +ZUSIMURDY +ZMSRI +ZCONSTAT +ZURC +ZICCID_URC +ZSMS",
    "Intel": (
        "+XLSRSTOP +XLEMA +XNOTIFYDUNSTATUS +XSIM +XSIMSTATE +XREG +XCSSMS +XCMT3GPP2 +XDATASTAT +XCGEDPAGE "
        "+XSIMSWITCH +XCALLSTAT +XNITZINFO +XCELLINFO +XCESQI +XACTIVATE +XTAPERREPORT +XBCSTAT +XNVMPLMN +XPROGRESS"
    ),
    "MediaTek": "+ECSQ +EIND +EREG +EGREG +ESIMS +EUSIM +ECELLINFO +ESPEECH +EAIC +EDMFAPP +EPBSEH +EJBDET "
    "+EGTYPE +EMMRRCS +EIAREG +EPDN +E5GREG +EFCELL +EOPS +EAPNSYNC +PSBEARER +ECIPC +ECFU +EIMS +EDSBP",
    "u-blox": (
        "+UUPSDD +UUPSDA +UUSTS +UUSIMSTAT +UUSORD +UUSOCL +UUSOLI +UUPING +UUHTTPCR +UUSOCO +UGPSRF +UUGIND "
        "+UUSORF +UUMQTTC +UGPIOI"
    ),
    "Sierra": "+STCPD !UIMS +WIND +KSUP +KCNX_IND +KUDP_IND +KTCP_IND +KNOTIF +KPDPDEACT +WDSI +WEXTINFO *PSURC +SIND",
    "Fibocom": "+GTRNDIS +SIM +GTEV +MIPCALL +MIPRTCP +GTDIAGURC +SIMTEST +PBREADY",
    "Altair": "%STATEV %CMSMSURC %XMPINF",
    "BG/NB": "+QCSCON +NPSMR +NNMI +CEDRX +IP",
    "Motorola": "+PACSP0 +PACSP1 +PACSP +MRING +MCST +CHSR",
}
_KNOWN = frozenset(name for names in _PREFIXES.values() for name in names.split())
_CHANGES = frozenset(
    [
        "+CREG",
        "+CGREG",
        "+CEREG",
        "+C5GREG",
        "+CGEV",
        "+CPIN",
        "+QSIMSTAT",
        "+QIURC",
        "+QNETDEVSTATUS",
        "^SIMST",
        "^SRVST",
        "^NDISSTAT",
        "^NDISEND",
        "#QSS",
        "+SIMCARD",
        "+CFUN",
        "*ATREADY",
        "^SYSSTART",
        "+UUPSDD",
        "+UUSIMSTAT",
        "+ZUSIMR",
        "+XSIM",
        "+CMTI",
    ]
)
# Whole lines that are news.
_WORDS = frozenset(
    {
        "#CONSUMECFG",
        "%CMSMSURC",
        "*EMRDY",
        "*EPEV",
        "*PSREFRESH",
        "+CUSATEND",
        "+ESTKSMENU",
        "+KSUP: 0",
        "+NITZ",
        "+PACSP0",
        "+PACSP1",
        "+PBREADY",
        "+PCMURC",
        "+QIND: PB DONE",
        "+SIM DROP",
        "+SIM READY",
        "+SMS FULL",
        "+STIN",
        "+ZEND",
        "+ZMSRI",
        "^EARST",
        "^EXIT",
        "^NDISEND",
        "^SHUTDOWN",
        "^SSIM READY",
        "^SYSLOADING",
        "^SYSSTART",
        "^SYSSTART AIRPLANE MODE",
        "^SYSSTART CHARGE-ONLY MODE",
        "APP RDY",
        "BUSY",
        "CALL END",
        "CLOSED",
        "Call Ready",
        "CALL READY",
        "CPIN: READY",
        "GPS Ready",
        "MODEM_READY",
        "NO ANSWER",
        "NO CARRIER",
        "NO DIALTONE",
        "NORMAL POWER DOWN",
        "OVER-VOLTAGE POWER DOWN",
        "OVER-VOLTAGE WARNNING",
        "PB DONE",
        "POWERED DOWN",
        "RDY",
        "READY",
        "REMOTE BUSY",
        "RING",
        "SIM REMOVED",
        "SMS DONE",
        "SMS FULL",
        "SMS Ready",
        "SMS READY",
        "START",
        "UNDER-",
        "UNDER-VOLTAGE WARNNING",
        "VOICE CALL: BEGIN",
        "VOLTAGE POWER DOWN",
    }
)
_SHAPES = re.compile(
    r"(?:VOICE CALL: |MISSED[_ ]CALL: |\+CFUN: ?[0-9]+$|\+CPIN: ?(?:READY|NOT READY|NOT INSERTED|SIM P[IU][NK]2?)$"
    r"|(?:ME|NW) (?:PDN |DETACH|CLASS|ACT|DEACT|REACT|MODIFY)|REJECT (?:IP|PPP|\")|CONNECT\b|RING\b"
    r"|\+UU[A-Z]+(?::|$)|\+APP PDP: |RECV FROM:|DST: ?[0-9]|SRING: ?[0-9])"
)
# A sentence of a GPS receiver (NMEA 0183: talker, sentence, fields) on a port that speaks AT, or in its place.
NMEA = re.compile(r"\$(?:G[ABILNPQ]|BD|P[A-Z])[A-Z0-9]{2,8},")


def unsolicited(line: str) -> bool:
    """Whether a line that answers nothing is a known unsolicited result code."""
    if line in _WORDS:
        return True
    return prefix_of(line) in _KNOWN or _SHAPES.match(line) is not None or NMEA.match(line) is not None


_NEXT = re.compile(r"(?:(?<=[0-9\"-])|(?<=READY)) *(?=[+^#%*!$][A-Z][A-Z0-9]{2,} ?:)")
_END = re.compile(r"(?:(?<=[0-9\"])|(?<=READY)) *(?=(?:OK|ERROR)$)")


def glued(line: str, accepted: frozenset[str]) -> list[str]:
    """The lines of which the end between them was lost or became a space: `…,-,-+QCAINFO: …`, `+CSQ: 17,99 OK`.

    A new one begins behind a figure or a quote, with a prefix that is awaited (`accepted`) or a known unsolicited one,
    never inside quotes.
    """
    prefix = prefix_of(line)
    if not prefix or (prefix not in accepted and prefix not in _KNOWN):
        return [line]
    cuts = [m.end() for m in _NEXT.finditer(line) if _begins(line[m.end() :], accepted)]
    cuts += [m.end() for m in _END.finditer(line) if prefix in accepted]
    cuts = [cut for cut in cuts if line.count('"', 0, cut) % 2 == 0]
    return [line[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(line)], strict=True)]


def _begins(rest: str, accepted: frozenset[str]) -> bool:
    prefix = prefix_of(rest)
    return prefix in accepted or prefix in _KNOWN


def changes(line: str) -> bool:
    """Whether the news is a change of state, and not the steady reports of signal and traffic."""
    return prefix_of(line) in _CHANGES or line in (
        "RDY",
        "NO CARRIER",
        "POWERED DOWN",
        "NORMAL POWER DOWN",
        "^SYSSTART",
    )


def has_body(line: str) -> bool:
    """Whether the next line belongs to this one: +CMT and +CDS in text or PDU mode, +CBM (27.005 clause 3.4.1)."""
    return prefix_of(line) in ("+CMT", "+CDS", "+CBM")
