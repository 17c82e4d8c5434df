"""A real module's answers to commands that change nothing, and a data file that makes the simulator give them too.

The data file extends the shipped profile that is nearest, and has a rule only where the module answers otherwise.
Whose module and SIM it was, and where, is not in it: identifiers become the words that the simulator fills in.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from simulator.errors import SimulatorError
from simulator.modem import Profile, SimModem, load, names
from simulator.modem.profile import DATA

# What V.250 5.4.3 and 5.4.4 call read and test, and actions of 27.007 clauses 5 and 7 that only tell: nothing is
# changed by any of them. +COPS=? is left out: it searches for a minute and may drop the connection.
IDENTITY = ("AT+CGMI", "AT+CGMM", "AT+CGMR", "AT+CGSN", "AT+CIMI", "AT+CNUM")
FIXED = (
    *("ATI", "AT+GCAP", "AT+GSN", "AT+GMI", "AT+GMM", "AT+GMR", *IDENTITY),
    *("AT+CCID", "AT+CCID?", "AT+ICCID", "AT+QCCID", "AT^ICCID?", "AT#CCID"),
    *("AT+CSCS=?", "AT+CMEE=?", "AT+CFUN=?", "AT+CLCK=?", "AT+CPAS=?", "AT+CIND=?", "AT+CMER=?", "AT+CPIN=?"),
    *("AT+CREG=?", "AT+CGREG=?", "AT+CEREG=?", "AT+C5GREG=?", "AT+CSQ=?", "AT+CESQ=?", "AT+CGATT=?", "AT+CGACT=?"),
    *("AT+CGDCONT=?", "AT+CGEREP=?", "AT+CGPADDR=?", "AT+CGCONTRDP=?", "AT+CCLK=?", "AT+CTZU=?", "AT+CTZR=?"),
    *("AT+CMGF=?", "AT+CNMI=?", "AT+CSMS=?", "AT+CPMS=?", "AT+CMGL=?", "AT+CSDH=?", "AT+CSMP=?", "AT+CUSD=?"),
    *("AT+IPR=?", "AT+ICF=?", "AT+IFC=?", "AT+CLIP=?", "AT+CRSM=?", "AT+CSIM=?", "AT+CBC=?", "AT+CPOL=?"),
)
# Their values are the moment's or the last host's: only whether there is such a command is taken over.
MOVING = (
    *("AT+CSQ", "AT+CESQ", "AT+CREG?", "AT+CGREG?", "AT+CEREG?", "AT+C5GREG?", "AT+COPS?", "AT+CPIN?", "AT+CFUN?"),
    *("AT+CGDCONT?", "AT+CGACT?", "AT+CGATT?", "AT+CGPADDR", "AT+CGCONTRDP", "AT+CCLK?", "AT+CTZU?", "AT+CTZR?"),
    *("AT+CMGF?", "AT+CNMI?", "AT+CSMS?", "AT+CPMS?", "AT+CSCS?", "AT+CSCA?", "AT+CMEE?", "AT+CLAC"),
)
_NONSENSE = "AT+NOSUCHCOMMAND?"
_UNKNOWN = "unknown"  # in the place of the final code that a command gets which does not exist
_FINAL = re.compile(r"OK|ERROR|NO CARRIER|COMMAND NOT SUPPORT|\+CM[ES] ERROR: .*")
_IPV4 = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
_LONG_NUMBER = re.compile(r"\+?\d{8,}|\b(?=[0-9A-F]*[0-9])(?=[0-9A-F]*[A-F])[0-9A-F]{7,}\b")


@dataclass(frozen=True)
class Answer:
    """The lines of an answer, and its final result code."""

    lines: tuple[str, ...]
    final: str


@dataclass
class Capture:
    answers: dict[str, Answer] = field(default_factory=dict)
    crcrlf: bool = False
    usb: tuple[str, str] = ("", "")
    interface: int | None = None

    def line(self, command: str) -> str:
        """The first line of an answer that was not refused."""
        answer = self.answers.get(command)
        return answer.lines[0] if answer and answer.final == "OK" and answer.lines else ""


class SerialLine:
    """A module's port, held alone as long as it is read. A context manager; ask() sends one command."""

    def __init__(self, device: str, baudrate: int = 115_200, timeout_s: float = 5.0) -> None:
        import serial  # the one part of the simulator that opens a real port

        self.device, self._timeout_s = device, timeout_s
        try:
            if "://" in device:
                self._port = serial.serial_for_url(device, baudrate, timeout=0.1)
            else:
                self._port = serial.Serial(device, baudrate, timeout=0.1, exclusive=True)
        except (OSError, ValueError) as error:
            raise SimulatorError(f"{device}: {error}") from error
        self.crcrlf = False

    def ask(self, command: str) -> Answer:
        """SimulatorError when no final result code comes in time."""
        heard, limit = b"", time.monotonic() + self._timeout_s
        try:
            self._port.reset_input_buffer()
            self._port.write(command.encode() + b"\r")
            while time.monotonic() < limit:
                heard += self._port.read(max(1, self._port.in_waiting))
                answer = _answer(command, heard)
                if answer is not None:
                    # With echo on, the command's own CR comes before the answer's CR LF.
                    self.crcrlf = self.crcrlf or b"\r\r\n" in heard.removeprefix(command.encode() + b"\r")
                    return answer
        except OSError as error:
            raise SimulatorError(f"{self.device}: {error}") from error
        raise SimulatorError(f"{self.device}: no answer to {command} within {self._timeout_s:g} s")

    def __enter__(self) -> SerialLine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._port.close()


def _answer(command: str, heard: bytes) -> Answer | None:
    """What was heard as an answer once it is whole; its echo and lines about other things are left out."""
    *whole, _ = heard.decode("latin-1").split("\n")
    lines = [line.strip("\r\0") for line in whole]
    lines = [line for line in lines if line and line != command]
    end = next((at for at, line in enumerate(lines) if _FINAL.fullmatch(line)), None)
    if end is None:
        return None
    own = re.match(r"AT([+^#]\w+)", command)
    foreign = re.compile(rf"(?!{re.escape(own[1]) if own else '$'}\b)[+^#]\w+: ?")
    return Answer(tuple(line for line in lines[:end] if not foreign.match(line)), lines[end])


def capture(line: SerialLine, sysfs: Path = Path("/sys")) -> Capture:
    """Ask everything once."""
    found = Capture()
    for command in (*FIXED, *MOVING, _NONSENSE):
        found.answers[command] = line.ask(command)
    found.crcrlf = line.crcrlf
    node = (sysfs / "class/tty" / Path(line.device).name / "device").resolve()
    for place in (node, *node.parents):
        if (place / "bInterfaceNumber").is_file():
            found.interface = int(_read(place / "bInterfaceNumber"), 16)
        if (place / "idVendor").is_file():
            found.usb = (_read(place / "idVendor"), _read(place / "idProduct"))
            break
    return found


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


def base_of(found: Capture) -> str:
    """The shipped profile that is nearest: the same USB ids, the same model, the maker's family, or the standard."""
    maker, model = found.line("AT+CGMI").lower(), found.line("AT+CGMM").lower()
    profiles: dict[str, Profile] = {name: load(name) for name in names()}
    families = {path.stem: load(path.stem) for path in sorted(DATA.glob("_*.toml"))}
    nearest: tuple[tuple[dict[str, Profile], Callable[[Profile], bool]], ...] = (
        (profiles, lambda profile: model == profile.model.lower()),
        (profiles, lambda profile: found.usb[0] != "" and found.usb == (profile.usb.vendor, profile.usb.product)),
        (families, lambda profile: profile.manufacturer.lower() in maker),
    )
    for choices, fits in nearest:
        for name, profile in choices.items():
            if fits(profile):
                return name
    return "generic-27007"


def data_file(found: Capture) -> str:
    """The capture as a vendor data file."""
    base = base_of(found)
    head = [
        "# Written by modem-sim learn from a module's own answers; identifiers are replaced.",
        f"extends = {_text(base)}",
        f"name = {_text(' '.join(filter(None, (found.line('AT+CGMI'), found.line('AT+CGMM')))))}",
        f"manufacturer = {_text(found.line('AT+CGMI'))}",
        f"model = {_text(found.line('AT+CGMM'))}",
        f"revision = {_text(found.line('AT+CGMR').removeprefix('+CGMR: '))}",
        f'line_end = "{"crcrlf" if found.crcrlf else "crlf"}"',
    ]
    unknown = found.answers[_NONSENSE].final
    head += ["", "[dialect]", f"unknown = {_text(unknown)}"]
    vendor, product = found.usb
    profile = load(base)
    if vendor and (vendor, product) != (profile.usb.vendor, profile.usb.product):
        head += ["", "[usb]", f"vendor = {_text(vendor)}", f"product = {_text(product)}"]
        head += ["", "[[port]]", f"interface = {found.interface or 0}", 'role = "at"', "primary = true"]
    rules, absent = _differences(found, _modem(head))
    if absent:
        # A list takes the place of the base's, so it has both.
        head.insert(7, f"absent = [{', '.join(map(_text, sorted({*profile.absent, *absent})))}]")
    return "\n".join([*head, *rules]) + "\n"


def _modem(head: list[str]) -> SimModem:
    """The simulated module of a data file that has no rules yet."""
    with tempfile.TemporaryDirectory(prefix="modem-sim-") as scratch:
        path = Path(scratch, "head.toml")
        path.write_text("\n".join(head), encoding="utf-8")
        return SimModem(str(path))


def _differences(found: Capture, simulated: SimModem) -> tuple[list[str], set[str]]:
    """Rules for what is answered otherwise than so far, and the standard commands that the module lacks."""
    theirs = Capture({command: _simulated(simulated, command) for command in (*FIXED, *MOVING, _NONSENSE)})
    lacking = {_name(command) for command in MOVING + FIXED if command.startswith("AT+")}
    # One form that is refused does not make a command that is not there.
    lacking -= {_name(command) for command in MOVING + FIXED if _template(found, command)[-1] != _UNKNOWN}
    lines: list[str] = [""]
    absent: set[str] = set()
    for command in (*FIXED, *MOVING):
        here, there = _template(found, command), _template(theirs, command)
        moving = command in MOVING
        if here == there or (moving and here[-1] == there[-1]):
            continue
        if here[-1] == _UNKNOWN and _name(command) in lacking:
            absent.add(_name(command))
        elif here[-1] == "OK" and moving:
            lines += [f"# {command} is answered by the module and not simulated.", ""]
        else:
            lines += [*_rule(command, here), ""]
    return lines[:-1], absent


def _name(command: str) -> str:
    return re.sub(r"^AT|[=?].*", "", command)


def _rule(command: str, answer: list[str]) -> list[str]:
    rule = ["[[rule]]", f"command = '{re.escape(command)}'"]
    *lines, final = answer
    code = re.fullmatch(r"\+CME ERROR: (\d+)", final)
    if final == "OK":
        return [*rule, f"reply = [{', '.join(map(_text, lines))}]"]
    return [*rule, f"error = {code[1] if code else -1}"]


def _simulated(modem: SimModem, command: str) -> Answer:
    modem.at.receive(f"{command}\r".encode())
    heard = b""
    for _ in range(100):  # an answer that takes its time
        modem.advance(modem.now + 0.1)
        while piece := modem.at.take():
            heard += piece
        if answer := _answer(command, heard):
            return answer
    return Answer((), "")


def _identifiers(found: Capture) -> dict[str, str]:
    """Value -> the word that the simulator fills in for it."""
    iccid = next((m[0] for c in FIXED if "CCID" in c and (m := re.search(r"\d{18,20}", found.line(c)))), "")
    imei = re.search(r"\d{14,16}", found.line("AT+CGSN"))
    own = re.search(r'"(\+?\d{6,15})"', found.line("AT+CNUM"))
    values = {
        "{imei}": imei[0] if imei else "",
        "{imsi}": found.line("AT+CIMI").strip('"'),
        "{iccid}": iccid,
        "{msisdn}": own[1] if own else "",
    }
    return {value: word for word, value in values.items() if value}


def _template(found: Capture, command: str) -> list[str]:
    """The answer as a data file has it: identifiers as words, anything else that long as zeros; then its final code."""
    answer, replaced = found.answers[command], _identifiers(found)
    final = _UNKNOWN if answer.final == found.answers[_NONSENSE].final else answer.final
    return [*(_masked(line, replaced) for line in answer.lines), final]


def _masked(line: str, replaced: dict[str, str]) -> str:
    known = re.compile("|".join(map(re.escape, replaced)) or r"(?!)")
    out, at = "", 0
    for match in known.finditer(line):
        out += _anonymous(line[at : match.start()]) + replaced[match[0]]
        at = match.end()
    return out + _anonymous(line[at:])


def _anonymous(text: str) -> str:
    text = _IPV4.sub("192.0.2.1", text.replace("{", "{{").replace("}", "}}"))  # RFC 5737: an address of nobody's
    return _LONG_NUMBER.sub(lambda match: re.sub(r"[0-9A-F]", "0", match[0]), text)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=True)
