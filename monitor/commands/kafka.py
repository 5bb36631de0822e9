"""How commands reach Kafka: the same security settings as the worker's."""

from __future__ import annotations

from typing import Any

from monitor.commands.options import Refused
from monitor.kafka_range import TopicRange
from monitor.settings import Settings
from monitor.streaming.security import Security, aiokafka_options, confluent_options, security_of
from monitor.topics import SourceTopic


def topic_range(
    settings: Settings, sources: tuple[SourceTopic, ...], *, since_ms: int | None, until_ms: int | None
) -> TopicRange:
    """A range of topics on the configured brokers."""
    return TopicRange(
        settings.kafka.bootstrap_servers,
        sources,
        since_ms=since_ms,
        until_ms=until_ms,
        options=aiokafka_options(security(settings)),
    )


def client_options(settings: Settings) -> dict[str, Any]:
    """Security of confluent-kafka's clients."""
    return dict(confluent_options(security(settings)))


def security(settings: Settings) -> Security:
    """TLS and SASL of the settings; Refused when they do not belong together."""
    try:
        return security_of(settings.kafka)
    except ValueError as error:
        raise Refused(str(error)) from error
