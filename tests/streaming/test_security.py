"""The mapping of security settings; tests/kafka/test_security.py logs in with it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from aiokafka.helpers import create_ssl_context
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from monitor.settings import KafkaSettings
from monitor.streaming.security import Security, aiokafka_options, confluent_options, faust_credentials, security_of

SCRAM = {"sasl_mechanism": "SCRAM-SHA-512", "username": "ann", "password": "secret"}
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBbzCCARWgAwIBAgIUQgCZ/vddU931qoHQDmzcESkQ3eYwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBeDAgFw0yNjExMjcwNTAzNDZaGA8yMTI2MTEwMzA1MDM0Nlow
DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMgPvBcFCLzW
/xGCaPsSu/W5fLrdalLU/S73XOPH1r+GhecHo5/o1KVnpjj2+hdQJsj3uW8vkOtP
DLIXGdwG3jSjUzBRMB0GA1UdDgQWBBSEIzJc3Xtv8jjW8wU/tsC33FwzxDAfBgNV
HSMEGDAWgBSEIzJc3Xtv8jjW8wU/tsC33FwzxDAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIH+VxCvWJLJeY9FTo4kzf8pGxdsCwoItmefnsk+lLAFR
AiEAwkopfWwNt8VNaJatfT+yVLgLDtGJWi7su+EmI/Ck3tA=
-----END CERTIFICATE-----
"""
ENCRYPTED_KEY = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhZUq5pjejAGAICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEBJ/mllzsNNuEL+kR7nUIbUEgZBW
gFUTtBnCNIXaSy+RNkeL6eNVGuwewuOst8Cg/xI6EKoqCSHZ2e0J5M78khKGPLD+
O41+KYuDX2SpUch++AI5KlNbbo5R4mBAnPIx4+K/8v0l8rIqM/5RxXgNqAT+nDdN
3J6kv2Kspn9wsrwoFePXhas2usmU7F0be7hABG9mHxbwxn+xRJXfKjCqSRzHo4w=
-----END ENCRYPTED PRIVATE KEY-----
"""


def test_plaintext_needs_nothing() -> None:
    assert faust_credentials(Security()) is None
    assert {"security_protocol": "PLAINTEXT"} == aiokafka_options(Security())
    assert {"security.protocol": "PLAINTEXT"} == confluent_options(Security())


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"])
def test_faust_passes_to_aiokafka_what_a_plain_client_gets(protocol: Any, mechanism: Any) -> None:
    login = {**SCRAM, "sasl_mechanism": mechanism} if protocol.startswith("SASL") else {}
    security = Security(protocol, **login)
    by_faust, plain = dict(credentials_to_aiokafka_auth(faust_credentials(security))), aiokafka_options(security)
    contexts = [options.pop("ssl_context", None) for options in (by_faust, plain)]
    assert plain == by_faust
    for context in contexts:
        assert (context is not None) == security.tls
        assert context is None or (context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname)


def test_confluent_clients_get_names_of_librdkafka(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).touch()
    files = {f"{name}_file": tmp_path / name for name in ("ca", "cert", "key")}
    expected = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ann",
        "sasl.password": "secret",
        "ssl.ca.location": str(tmp_path / "ca"),
        "ssl.certificate.location": str(tmp_path / "cert"),
        "ssl.key.location": str(tmp_path / "key"),
    }
    assert expected == confluent_options(Security("SASL_SSL", **SCRAM, **files))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"security_protocol": "TLS"}, "security_protocol is 'TLS'; allowed: PLAINTEXT, SSL"),
        ({"security_protocol": "SASL_SSL"}, "sasl_mechanism is None; allowed: SCRAM-SHA-256"),
        ({"security_protocol": "SASL_SSL", **SCRAM, "sasl_mechanism": "GSSAPI"}, "sasl_mechanism is 'GSSAPI'"),
        ({"security_protocol": "SASL_SSL", **SCRAM, "password": ""}, "password is missing"),
        ({"security_protocol": "SSL", **SCRAM}, "sasl_mechanism is set; only SASL_PLAINTEXT and SASL_SSL"),
        ({"ca_file": Path("ca.pem")}, "ca_file is set; only SSL and SASL_SSL"),
        ({"security_protocol": "SSL", "ca_file": Path("none.pem")}, "ca_file: there is no file none.pem"),
        ({"security_protocol": "SSL", "key_file": Path(__file__)}, "key_file is set without cert_file"),
    ],
)
def test_settings_that_do_not_belong_together_are_refused(settings: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Security(**settings)


def test_a_file_that_is_no_certificate_is_named_before_any_client_is_made(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    for use in (lambda: aiokafka_options(Security("SSL", ca_file=path)), lambda: security_of(kafka(path))):
        with pytest.raises(ValueError, match=r"ca_file: cannot use .*ca\.pem: .*; PEM files are expected"):
            use()
    assert Security("SSL") == security_of(kafka(None))


def kafka(ca_file: Path | None) -> KafkaSettings:
    return KafkaSettings(security_protocol="SSL", ca_file=ca_file)


def test_an_encrypted_key_is_refused_and_its_password_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text(CERTIFICATE)
    (tmp_path / "key.pem").write_text(ENCRYPTED_KEY)
    with pytest.raises(ValueError, match=r"cert_file, key_file: cannot use .*key\.pem: the key is encrypted"):
        aiokafka_options(Security("SSL", cert_file=tmp_path / "cert.pem", key_file=tmp_path / "key.pem"))


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(Security("SASL_PLAINTEXT", **SCRAM))  # type: ignore[arg-type]


def test_verification_is_that_of_aiokafka_itself() -> None:
    ours, theirs = aiokafka_options(Security("SSL"))["ssl_context"], create_ssl_context()
    assert (theirs.verify_mode, theirs.check_hostname, theirs.minimum_version) == (
        ours.verify_mode,
        ours.check_hostname,
        ours.minimum_version,
    )
