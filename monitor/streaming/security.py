"""One set of TLS and SASL settings for the three Kafka clients in use: Faust, aiokafka and confluent-kafka.

SSL and SASL_SSL always verify the broker's certificate and host name: with `ca_file` against that file, without it
against the system's authorities.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from faust.auth import SASLCredentials, SSLCredentials

from monitor.settings import KafkaSettings

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"]


@dataclass(frozen=True, slots=True)
class Security:
    """How to speak to the brokers; raises `ValueError` when the settings do not belong together.

    `cert_file` and `key_file` (PEM) are the client's own certificate, for brokers that ask for one.
    """

    security_protocol: Protocol = "PLAINTEXT"
    sasl_mechanism: Mechanism | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        _one_of("security_protocol", self.security_protocol, get_args(Protocol))
        if self.sasl:
            _one_of("sasl_mechanism", self.sasl_mechanism, get_args(Mechanism))
        for name in ("username", "password"):
            if self.sasl and not getattr(self, name):
                raise ValueError(f"kafka security: {name} is missing; {self.security_protocol} needs it")
        for name in ("sasl_mechanism", "username", "password"):
            if not self.sasl and getattr(self, name) is not None:
                raise ValueError(f"kafka security: {name} is set; only SASL_PLAINTEXT and SASL_SSL use it")
        for name in ("ca_file", "cert_file", "key_file"):
            path = getattr(self, name)
            if path is not None and not self.tls:
                raise ValueError(f"kafka security: {name} is set; only SSL and SASL_SSL use it")
            if path is not None and not Path(path).is_file():
                raise ValueError(f"kafka security: {name}: there is no file {path}")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("kafka security: key_file is set without cert_file; a certificate is needed with its key")

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security_protocol in {"SSL", "SASL_SSL"}

    @property
    def sasl(self) -> bool:
        """Whether the client logs in with name and password."""
        return self.security_protocol in {"SASL_PLAINTEXT", "SASL_SSL"}


def security_of(kafka: KafkaSettings) -> Security:
    """What the configuration says. ValueError when the settings do not belong together or a file cannot be used."""
    security = Security(
        security_protocol=kafka.security_protocol,
        sasl_mechanism=kafka.sasl_mechanism,
        username=kafka.username,
        password=None if kafka.password is None else kafka.password.get_secret_value(),
        ca_file=kafka.ca_file,
        cert_file=kafka.cert_file,
        key_file=kafka.key_file,
    )
    _context(security)
    return security


def faust_credentials(security: Security) -> Any:
    """Value of Faust's setting `broker_credentials`; None for PLAINTEXT."""
    if security.sasl:
        return SASLCredentials(
            mechanism=security.sasl_mechanism,
            username=security.username,
            password=security.password,
            ssl_context=_context(security),
        )
    return SSLCredentials(_context(security)) if security.tls else None


def aiokafka_options(security: Security) -> dict[str, Any]:
    """Keyword arguments of `AIOKafkaConsumer`, `AIOKafkaProducer` and `AIOKafkaAdminClient`."""
    options: dict[str, Any] = {"security_protocol": security.security_protocol}
    if security.tls:
        options["ssl_context"] = _context(security)
    if security.sasl:
        options["sasl_mechanism"] = security.sasl_mechanism
        options["sasl_plain_username"] = security.username
        options["sasl_plain_password"] = security.password
    return options


def confluent_options(security: Security) -> dict[str, str]:
    """Configuration of confluent-kafka's clients, without `bootstrap.servers`."""
    options = {
        "security.protocol": security.security_protocol,
        "sasl.mechanism": security.sasl_mechanism,
        "sasl.username": security.username,
        "sasl.password": security.password,
        "ssl.ca.location": security.ca_file,
        "ssl.certificate.location": security.cert_file,
        "ssl.key.location": security.key_file,
    }
    return {name: str(value) for name, value in options.items() if value is not None}


def _context(security: Security) -> ssl.SSLContext | None:
    if not security.tls:
        return None
    with _usable(ca_file=security.ca_file):
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=security.ca_file)
    if security.cert_file is not None:
        with _usable(cert_file=security.cert_file, key_file=security.key_file):
            context.load_cert_chain(security.cert_file, security.key_file, _no_password)
    return context


@contextmanager
def _usable(**files: Path | None) -> Iterator[None]:
    """ValueError that names settings and files when they cannot be loaded."""
    try:
        yield
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        given = {name: path for name, path in files.items() if path is not None}
        paths = ", ".join(map(str, given.values()))
        raise ValueError(
            f"kafka security: {', '.join(given)}: cannot use {paths}: {error}; PEM files are expected"
        ) from error


def _no_password() -> str:
    """Asked for the password of an encrypted key, OpenSSL would wait at the terminal."""
    raise ValueError("the key is encrypted")


def _one_of(name: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"kafka security: {name} is {value!r}; allowed: {', '.join(allowed)}")
