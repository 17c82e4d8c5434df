"""Which language the screens have, and what every screen looks like in each of the four."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli import VERBS as VERBS_OF_HELP
from agent.cli import exits, group, language, overview, screen
from agent.cli.verbs import doctor, status
from agent.doctor.diagnosis import Diagnosis, diagnose
from agent.sentence import Told, counted, listed, said
from tests.cli import screen_device, screens, test_meter
from tests.cli.catalogues import TOOL, TRANSLATED, translations
from tests.cli.conftest import Run
from tests.cli.spoken import spoken_in
from tests.doctor import test_diagnosis

UTF8 = {"LC_ALL": "fr_BE.UTF-8"}


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    TOOL["put"]()


@pytest.fixture(params=language.LANGUAGES)
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each language in turn."""
    with spoken_in(request.param):
        yield request.param


@pytest.fixture(params=(80, 40))
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    wide: int = request.param
    monkeypatch.setattr(screen, "width", lambda stream=None: wide)
    return wide


# -- which one -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "environment", "configured", "wanted"),
    [
        ([], {}, "", "en"),
        ([], {"LANG": "fr_BE.UTF-8"}, "", "fr"),
        ([], {"LANG": "nl_BE"}, "", "nl"),
        ([], {"LANG": "de_BE@euro"}, "", "de"),
        ([], {"LANG": "fr_BE.UTF-8", "LC_MESSAGES": "nl_BE.UTF-8"}, "", "nl"),
        ([], {"LC_MESSAGES": "nl_BE.UTF-8", "LC_ALL": "de_DE.UTF-8"}, "", "de"),
        ([], {"LC_ALL": "", "LANG": "fr"}, "", "fr"),
        ([], {"LANG": "es_ES.UTF-8"}, "", "en"),
        ([], {"LANG": "es_ES.UTF-8"}, "nl", "nl"),
        ([], {"LANG": "C.UTF-8"}, "fr", "fr"),
        ([], {"LANG": "C"}, "fr", "en"),
        ([], {"LANG": "en_GB.UTF-8"}, "fr", "en"),
        ([], {}, "de", "de"),
        ([], {}, "xx", "en"),
        (["status", "--lang", "fr"], {"LANG": "nl_BE.UTF-8"}, "de", "fr"),
        (["--lang=fr", "status"], {"LANG": "C"}, "", "fr"),
        (["status", "--lang"], {"LANG": "nl_BE"}, "", "nl"),
        (["page", "--lang", "ar"], {"LANG": "nl_BE"}, "", "nl"),
        (["status", "--json"], {"LANG": "fr_BE.UTF-8"}, "fr", "en"),
        (["run"], {"LANG": "fr_BE.UTF-8"}, "fr", "en"),
    ],
)
def test_the_command_line_then_the_locale_then_the_configuration(
    tmp_path: Path, words: list[str], environment: dict[str, str], configured: str, wanted: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[device]\nlanguage = "{configured}"\n')
    assert language.wanted(words, environment, str(file)) == wanted
    assert language.wanted([*words, "--config", str(file)], environment, "/nowhere") == wanted


@pytest.mark.parametrize("text", ['[device\nlanguage = "fr"', 'language = "fr"', "[device]\nlanguage = 3", "\0\xff"])
def test_a_configuration_that_cannot_be_read_names_no_language(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="latin-1")
    assert language.wanted([], {}, str(file)) == "en"


def test_without_a_catalogue_it_speaks_english(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(language, "LOCALE", str(tmp_path))
    folder = tmp_path / "fr" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    for content in (None, b"", b"\xde\x12\x04\x95\0\0", b"no catalogue at all"):
        if content is not None:
            (folder / "modem-agent.mo").write_bytes(content)
        language.use("fr")
        assert language._("Nothing is wrong.") == "Nothing is wrong."
        language.use("en")


def test_the_daemon_loads_no_language(tmp_path: Path) -> None:
    code = (
        "import sys; from agent.cli import main\n"
        "try: main(['run', '--config', sys.argv[1]])\nexcept SystemExit as stop: assert stop.code == 2, stop.code\n"
        "print(*sys.modules)"
    )
    (tmp_path / "c.toml").write_text("[device]\nlanguage = 5\n")
    environment = {"PATH": os.environ["PATH"], "LANG": "fr_BE.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "c.toml")],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert "device.language: wrong type" in done.stderr
    assert not {"gettext", "agent.cli.told", "click"} & set(done.stdout.split())


# -- a sentence ----------------------------------------------------------------------------------------------------


def test_sentences_among_the_values_are_translated_too(name: str) -> None:
    sentence = said("the SIM wants its PIN, {left}", left=counted("{count} attempt left", "{count} attempts left", 1))
    assert sentence == "the SIM wants its PIN, 1 attempt left"
    assert (
        language.spoken(sentence)
        == {
            "en": "the SIM wants its PIN, 1 attempt left",
            "fr": "la SIM demande son code PIN, encore 1 essai",
            "nl": "de SIM vraagt zijn pincode, nog 1 poging",
            "de": "die SIM verlangt ihre PIN, noch 1 Versuch",
        }[name]
    )
    told = said("the line is slowed on purpose: {reason}", reason=Told("100 % used, past 100 %"))
    assert language.spoken(told).count("100") == 2
    assert (language.spoken(told) == told) == (name == "en")
    assert language.spoken(listed([said("ready"), "wan0"])).endswith("; wan0")


def test_numbers_have_the_sign_of_their_language(name: str) -> None:
    assert screen.size(27_160_000_000) == {"en": "27.16 GB", "fr": "27,16 Go"}.get(name, "27,16 GB")
    assert screen.rate(1_500_000) == ("1.5 Mbit/s" if name == "en" else "1,5 Mbit/s")


# -- every screen --------------------------------------------------------------------------------------------------


def evidences() -> list[Diagnosis]:
    """The doctor's judgement of many broken devices: those of its own tests, and the two of the README."""
    seen = [screen_device.evidence(), screen_device.without_sim()]
    return [
        diagnose(each) for each in (*seen, *(test_diagnosis.healthy(**fault[3]) for fault in test_diagnosis.FAULTS))
    ]


def test_the_doctor_fits_in_every_language(name: str, columns: int) -> None:
    for diagnosis in evidences():
        for lines in (doctor.lines(diagnosis), doctor.short_lines(diagnosis)):
            assert max(map(len, lines)) <= columns, lines
        assert len(doctor.short_lines(diagnosis)) <= 23
        if diagnosis.root is not None:
            assert diagnosis.cause in " ".join(doctor.short_lines(diagnosis)[:2])


VERBS = (
    "status", "usage", "usage --months", "signal", "log", "log --audit", "log --all", "modem", "ping 10.99.0.1",
    "speed",
    "reset radio --yes", "throttle lift --reason telemedicine", "throttle auto", "topup 2GB --yes", "config check",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with screens.stage() as found:
        yield found


@pytest.mark.parametrize("words", VERBS)
def test_a_verb_fits_in_every_language(
    name: str, columns: int, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert group.run([*shlex.split(words), "--config", str(folder / "config.toml")]) == exits.OK
    said_ = capsys.readouterr()
    lines = [line for line in said_.out.splitlines() if str(folder) not in line]
    assert max((len(line) for line in lines), default=0) <= columns, said_.out
    assert "{" not in said_.out


def test_the_meter_fits_in_every_language(name: str, columns: int) -> None:
    meter = test_meter.turned(-104, -99, -89, -95)
    assert max(map(len, meter.lines(columns, test_meter.START))) <= columns
    assert len(meter.lines(columns, test_meter.START)) <= 23


def test_help_fits_in_every_language(name: str, columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert max(map(len, overview(columns).splitlines())) <= columns
    for verb in ("status", "doctor", "setup", "reset", "throttle"):
        group.run([verb, "--help"])
        text = capsys.readouterr().out
        assert ("Ask nothing" in text) == (name == "en" and verb == "setup")
        english = VERBS_OF_HELP[verb][1]
        assert (english in " ".join(text.split())) == (name == "en")
        assert ("Usage:" in text) == (name == "en")


# -- the executable ------------------------------------------------------------------------------------------------


def test_an_error_is_in_the_language_and_json_is_not(cli: Run, tmp_path: Path) -> None:
    socket = ("--socket", str(tmp_path / "none.sock"), "--config", str(tmp_path / "none.toml"))
    done = cli("ping", "--socket", str(tmp_path / "none.sock"), env=UTF8)
    assert done.returncode == exits.NOT_RUNNING
    assert done.stderr.startswith("modem-agent: l'agent n'est pas en marche")
    english = cli("ping", *socket[:2], "--json", env={"LC_ALL": "C"})
    for locale in ("fr_BE.UTF-8", "nl_BE.UTF-8", "de_BE.UTF-8"):
        again = cli("ping", *socket[:2], "--json", env={"LC_ALL": locale})
        assert (again.stdout, again.stderr) == (english.stdout, english.stderr)


@pytest.mark.parametrize("words", ["status", "usage", "usage --months", "signal", "log", "modem"])
def test_json_is_the_same_byte_for_byte(cli: Run, folder: Path, words: str) -> None:
    call = (*words.split(), "--json", "--config", str(folder / "config.toml"))
    english = cli(*call, env={"LC_ALL": "C"})
    assert english.returncode == exits.OK
    for name in TRANSLATED:
        again = cli(*call, "--lang", name, env={"LC_ALL": f"{name}_BE.UTF-8"})
        assert (again.stdout, again.stderr, again.returncode) == (english.stdout, english.stderr, english.returncode)


@pytest.mark.parametrize("name", TRANSLATED)
def test_a_seven_bit_terminal_gets_plain_letters(cli: Run, folder: Path, name: str) -> None:
    file = str(folder / "config.toml")
    for words in (
        ["status", "--config", file],
        ["usage", "--config", file],
        ["log", "--config", file],
        ["--help"],
        ["doctor", "--help"],
        ["nonsense"],
    ):
        done = cli("--lang", name, *words, env={"LC_ALL": "C"})
        shown = done.stdout + done.stderr
        assert shown.isascii(), shown
        assert "\\x" not in shown
        assert "\\u" not in shown
        assert "Traceback" not in shown


def test_click_speaks_the_language_too(cli: Run) -> None:
    done = cli("status", "--lang", "xx", env=UTF8)
    assert done.returncode == exits.USAGE
    assert "'--lang'" in done.stderr
    assert "see 'modem-agent" not in done.stderr
    assert "valeur incorrecte pour '--lang'" in done.stderr
    for name in TRANSLATED:
        found = translations(name)
        for text in group.CLICK:
            assert found[(text,)].string.isascii(), "click's words do not pass through this tool's own"


def test_status_says_why_used_is_not_down_plus_up(name: str) -> None:
    usage: Any = screen_device.status()["usage"]
    assert status.reckoned(usage) is None
    less: Any = {**usage, "charged_bytes": 26_000_000_000, "management_bytes": 1_160_000_000}
    shown = status.reckoned(less)
    assert shown is not None
    assert str(screen.size(27_160_000_000)) in shown
    assert str(screen.size(1_160_000_000)) in shown
    one_way: Any = {**usage, "charged_bytes": 3_120_000_000}
    assert status.reckoned(one_way) is not None
