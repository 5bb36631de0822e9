"""Logging in over TLS with SCRAM on a real broker, with each of the three clients."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from faust.types import TP

from monitor.streaming.security import Security, aiokafka_options, confluent_options, faust_credentials
from tests.kafka_server import KafkaServer
from tests.streaming.apps import reading, until

pytestmark = pytest.mark.kafka

PASSWORD = "of-the-key-store"  # noqa: S105
PARTS = [bytes([number]) * 900_000 for number in range(5)]
"""An answer to a fetch that holds these comes in many pieces."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 in PEM; its key store is beside it."""
    directory = tmp_path_factory.mktemp("tls")
    keytool = shutil.which("keytool") or "keytool"
    common = [keytool, "-keystore", str(directory / "store.p12"), "-storetype", "PKCS12", "-storepass", PASSWORD]
    names = ["-dname", "CN=localhost", "-ext", "san=ip:127.0.0.1", "-ext", "bc=ca:true"]
    key = ["-alias", "broker", "-keyalg", "EC", "-groupname", "secp256r1", "-validity", "2"]
    subprocess.run([*common, "-genkeypair", *key, *names], check=True, capture_output=True)
    pem = directory / "ca.pem"
    subprocess.run(
        [*common, "-exportcert", "-rfc", "-alias", "broker", "-file", str(pem)], check=True, capture_output=True
    )
    return pem


@pytest.fixture(scope="module")
def server(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    module = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    mechanisms = ("SCRAM-SHA-256", "SCRAM-SHA-512")
    node = KafkaServer(
        tmp_path_factory.mktemp("secure") / "node",
        listeners={"SECURE": "SASL_SSL"},
        users={"ann": "secret"},
        properties={
            "sasl.enabled.mechanisms": ",".join(mechanisms),
            **{f"listener.name.secure.{name.lower()}.sasl.jaas.config": module for name in mechanisms},
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": str(certificate.with_name("store.p12")),
            "ssl.keystore.password": PASSWORD,
        },
    )
    node.start()
    yield node
    node.terminate()


def ann(certificate: Path, mechanism: str = "SCRAM-SHA-512", password: str = "secret") -> Security:  # noqa: S107
    return Security("SASL_SSL", mechanism, "ann", password, ca_file=certificate)  # type: ignore[arg-type]


async def test_faust_and_aiokafka_log_in(server: KafkaServer, certificate: Path) -> None:
    topic, address = server.create_topic("secured"), server.address("SECURE")
    async with AIOKafkaProducer(bootstrap_servers=address, **aiokafka_options(ann(certificate))) as producer:
        await producer.send_and_wait(topic, b"hello")
        for part in PARTS:
            await producer.send_and_wait(topic, part)
    credentials = faust_credentials(ann(certificate))
    async with reading(address, topic, settings={"broker_credentials": credentials}) as (reader, _):
        await until(lambda: reader.read() == 1 + len(PARTS))
        assert [b"hello", *PARTS] == reader.values(TP(topic, 0))


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_confluent_clients_log_in(server: KafkaServer, certificate: Path, mechanism: str) -> None:
    options = confluent_options(ann(certificate, mechanism))
    admin = AdminClient({"bootstrap.servers": server.address("SECURE"), **options})
    assert admin.list_topics(timeout=10).brokers


def test_a_wrong_password_and_an_unknown_authority_are_refused(server: KafkaServer, certificate: Path) -> None:
    wrong = confluent_options(ann(certificate, password="guessed"))  # noqa: S106
    unknown = confluent_options(ann(certificate)) | {"ssl.ca.location": "probe"}
    for options in (wrong, unknown):
        admin = AdminClient({"bootstrap.servers": server.address("SECURE"), "log_level": 0, **options})
        with pytest.raises(KafkaException):
            admin.list_topics(timeout=2)
