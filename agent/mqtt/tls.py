"""How the broker is trusted: an SSL context from the files of the configuration.

While the wall clock is not trusted (no RTC, first minutes after boot) the dates of certificates are not judged, but the
chain to the configured CA and the host's name are: a clock at 1970 must not lock a device out, nor open it to others.
Once the clock can be trusted the session is judged again (`expired`).
"""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from agent.config import OperatorSettings
from agent.errors import ConfigError

# Identity and key for a server's hint (Python 3.13 on: typeshed has it from there).
PskCallback = Callable[[object], tuple[str, bytes]]
Certificate = Mapping[str, object]  # as the ssl module decodes it

NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL; the ssl module has no name for it


def secret(path: str) -> str:
    """The text of a file that only its owner may read, without the final newline. Raises ConfigError."""
    try:
        with open(path, encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IROTH | stat.S_IWOTH):
                raise ConfigError(path, "", "others may read or write this secret", allowed="mode 0640 or stricter")
            return file.read().rstrip("\r\n")
    except OSError as error:
        raise ConfigError(path, "", f"cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(path, "", "not UTF-8 text") from error


def context(settings: OperatorSettings, *, clock_trusted: bool) -> ssl.SSLContext:
    """The TLS side of one connection. Raises ConfigError when a file is missing or wrong."""
    if settings.psk_file:
        return _with_psk(settings)
    made = _create(settings)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if not clock_trusted:
        made.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    if settings.cert_file:
        key = settings.key_file or settings.cert_file
        secret(key)
        try:
            made.load_cert_chain(settings.cert_file, key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(settings.cert_file, "", f"not a certificate and its key: {error}") from error
    return _with_alpn(made, settings)


def _create(settings: OperatorSettings) -> ssl.SSLContext:
    try:
        made = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(settings.ca_file, "", f"not a file of CA certificates: {error}") from error
    # Python 3.13 also asks for formalities of RFC 5280 (an authority key identifier, say) that private CAs often lack:
    # a firmware with a newer Python would lock its own fleet out. Chain, name and dates are judged as before.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return made


def _with_alpn(made: ssl.SSLContext, settings: OperatorSettings) -> ssl.SSLContext:
    if settings.alpn:
        made.set_alpn_protocols([settings.alpn])
    return made


def _with_psk(settings: OperatorSettings) -> ssl.SSLContext:
    """A pre-shared key: no certificates, no dates, a quarter of the handshake's bytes. Needs Python 3.13."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    set_callback: Callable[[PskCallback], None] | None = getattr(made, "set_psk_client_callback", None)
    if set_callback is None:
        raise ConfigError(
            settings.psk_file, "operator.psk_file", "this Python has no TLS-PSK", allowed="Python 3.13 on"
        )
    identity, _, key = secret(settings.psk_file).partition(":")
    try:
        psk = bytes.fromhex(key)
    except ValueError:
        psk = b""
    if not identity or len(psk) < 16:
        raise ConfigError(settings.psk_file, "", "not a key", allowed="identity:hexkey, 16 bytes or more")
    made.check_hostname = False  # the key itself proves who the broker is
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # mosquitto 2.0 offers PSK on TLS 1.2 only when the cipher is a PSK one.
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("PSK")
    set_callback(lambda hint: (identity, psk))
    return _with_alpn(made, settings)


def file_problem(path: str, now: datetime) -> str:
    """Why the first certificate of a file cannot serve: not one, or not valid at that time; empty when it can.

    For the doctor: a broker that refuses an expired device says so in an alert that not every TLS version shows.
    """
    # CPython's own and not public (no typeshed has it), but the only reader of a certificate's dates without a library.
    decode = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)
    if decode is None:  # it is private to CPython; without it the broker's word must do
        return ""
    try:
        return expired(decode(path), now, "the certificate")
    except (OSError, ssl.SSLError) as error:
        return f"cannot be read as a certificate: {getattr(error, 'strerror', None) or error}"


def ends(path: str) -> datetime | None:
    """Until when the first certificate of a file is valid; None where that cannot be read."""
    found = _decoded(path)
    text = str(found.get("notAfter", "")) if found else ""
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), timezone.utc) if text else None


def _decoded(path: str) -> Certificate | None:
    # CPython's own and not public (no typeshed has it), but the only reader of a certificate's dates without a library.
    decode = getattr(getattr(ssl, "_ssl", None), "_test_decode_cert", None)
    try:
        return None if decode is None else dict(decode(path))
    except (OSError, ssl.SSLError):
        return None


def expired(certificate: Mapping[str, object] | None, now: datetime, whose: str = "the broker's certificate") -> str:
    """Why a certificate cannot be valid at a trusted time; empty when it is, or when there is none (PSK)."""
    if not certificate:
        return ""
    at = now.timestamp()
    begins, ends = str(certificate.get("notBefore", "")), str(certificate.get("notAfter", ""))
    if begins and at < ssl.cert_time_to_seconds(begins):
        return f"{whose} is valid only from {begins}"
    if ends and at > ssl.cert_time_to_seconds(ends):
        return f"{whose} was valid until {ends}"
    return ""
