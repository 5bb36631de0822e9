"""The configuration: a YAML file, then `MONITOR_<SECTION>__<KEY>` from the environment. Unknown keys are refused.

Every section has defaults that suit a first look: any model that is met, segments by language, region and modality.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_origin

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from detectors import Adwin, AnyDetector, PageHinkley
from monitor import strict_yaml
from monitor.bounds import DRIFT_THRESHOLDS
from monitor.cells import DIMENSIONS, Limits
from monitor.decode import name_is_allowed
from monitor.events import Action
from monitor.layout import POSITIVE_ACTIONS
from monitor.streams import require_distinct, require_for_shares

PREFIX: Final = "MONITOR_"
_HOST: Final = r"[A-Za-z0-9._-]+"
_SERVER: Final = re.compile(rf"(?:\[[0-9A-Fa-f:.]+\]|{_HOST})(?::([0-9]{{1,5}}))?")
"""host, host:port or [IPv6 address]:port: what all Kafka clients in use understand."""

SECOND: Final = 1.0
"""No horizon or wait is shorter."""
MOST_IDS: Final = 64 * 1_048_576
"""Ids a partition that the horizon of duplicates may hold: some 1.3 GB."""

Ratio = Annotated[float, Field(gt=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
RetentionHours = Annotated[float, Field(ge=1, le=100 * 365 * 24)]


KNOWN_ACTIONS: Final = tuple(action.value for action in Action if action is not Action.OTHER)


def _known_action(value: object) -> object:
    """Of an event an action not known here reads as `other`; in settings it is a slip."""
    if isinstance(value, str) and value not in KNOWN_ACTIONS:
        raise ValueError(f"expected one of {', '.join(KNOWN_ACTIONS)}")
    return value


KnownAction = Annotated[Action, BeforeValidator(_known_action)]


def _usable_path(path: Path) -> Path:
    """Not with a NUL or half a surrogate pair, which YAML can write and no system call takes."""
    try:
        usable = b"\0" not in bytes(path)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise ValueError("expected a path without NUL and of whole characters")
    return path


Text = Annotated[str, Field(min_length=1)]
"""With a constraint pydantic also refuses half a surrogate pair, which YAML can write and nobody can send."""

UsablePath = Annotated[Path, AfterValidator(_usable_path)]


def _nothing_said(value: object) -> object:
    """A section whose keys are all commented out is null to YAML."""
    return {} if value is None else value


NothingSaid = BeforeValidator(_nothing_said)
"""Of a mapping: may be empty."""


class InvalidSettings(ValueError):  # noqa: N818 - says what the settings are
    """Settings that cannot be used; each line names the place, what is wrong and what is allowed."""


class Section(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, told: object) -> object:
        return _nothing_said(told)


def _can_be_looked_up(host: str) -> bool:
    """Not with an empty label, as an unset variable leaves it, one of more than 63 letters, or brackets around anything
    but an address of IPv6."""
    try:
        if host.startswith("["):
            ipaddress.IPv6Address(host[1:-1])
        else:
            host.encode("idna")
    except (UnicodeError, ipaddress.AddressValueError):
        return False
    return True


def _is_host(text: str) -> bool:
    """A name or an address; one of IPv6 without brackets."""
    if ":" not in text:
        return re.fullmatch(_HOST, text) is not None and _can_be_looked_up(text)
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


class KafkaSettings(Section):
    """How to reach Kafka."""

    bootstrap_servers: Annotated[str, Field(min_length=1)] = "localhost:9092"
    group_id: Text = "moderation-monitor"
    instance_id: Text | None = Field(default=None, description="static group member, such as the name of the pod")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] | None = None
    username: Text | None = None
    password: SecretStr | None = None
    ca_file: UsablePath | None = None
    cert_file: UsablePath | None = None
    key_file: UsablePath | None = None
    session_timeout_seconds: Annotated[float, Field(ge=6, le=300)] = 30.0
    commit_interval_seconds: Annotated[float, Field(ge=0.1, le=60)] = 1.0

    @field_validator(
        *("instance_id", "sasl_mechanism", "username", "password", "ca_file", "cert_file", "key_file"), mode="before"
    )
    @classmethod
    def _unset(cls, told: object) -> object:
        """Empty is unset, as in the environment."""
        return None if told == "" else told

    @field_validator("bootstrap_servers")
    @classmethod
    def _servers(cls, told: str) -> str:
        servers = [server.strip() for server in told.split(",")]
        for server in servers:
            found = _SERVER.fullmatch(server)
            host = server.removesuffix(f":{found[1]}") if found else ""
            if not found or not 1 <= int(found[1] or 1) <= 65535 or not _can_be_looked_up(host):
                raise ValueError("expected host:port, several separated by commas")
        return ",".join(servers)


class TopicSettings(Section):
    """What `topics create` makes; the source topics may as well be made by others."""

    source_partitions: Annotated[int, Field(ge=1, le=1000)] = 4
    internal_partitions: Annotated[int, Field(ge=1, le=256)] = 4
    join_partitions: Annotated[int, Field(ge=1, le=256)] = 4
    """Must never change: an id would meet another index."""
    join_retention_hours: RetentionHours = 336.0
    """A lost index is rebuilt from the topic: twice the horizon of the join."""
    replication_factor: Annotated[int, Field(ge=1, le=9)] = 1
    retention_hours: RetentionHours = 168.0


class HttpSettings(Section):
    """Where metrics, API and pages are served."""

    host: str = "0.0.0.0"  # noqa: S104 - a container is reached from outside; restrict it by network policy
    port: Annotated[int, Field(ge=0, le=65535)] = 8080

    @field_validator("host")
    @classmethod
    def _host(cls, told: str) -> str:
        if not _is_host(told):
            raise ValueError("expected a host name or an address, one of IPv6 without brackets, such as 0.0.0.0 or ::")
        return told


class StateSettings(Section):
    """Where and how often state is kept. The ledger's checkpoints live in Kafka."""

    directory: UsablePath = Path("var/state")
    checkpoint_interval_seconds: Annotated[float, Field(ge=0.5, le=600)] = 10.0


class BlockSettings(Section):
    """Records a block, blocks for which a duplicate is recognised, and how often the open block is published.

    `size` must not change while a topic's history is still to be continued exactly.
    """

    size: Annotated[int, Field(ge=16, le=1_048_576)] = 16_384
    horizon: Annotated[int, Field(ge=1, le=4096)] = 16
    publish_interval_seconds: Annotated[float, Field(ge=0.05, le=60)] = 0.5

    @model_validator(mode="after")
    def _fits(self) -> Self:
        ids = self.size * self.horizon
        if ids > MOST_IDS:
            raise ValueError(f"size, horizon: expected a product of at most {MOST_IDS:,}, got {ids:,}")
        return self


class SegmentSettings(Section):
    """What series are cut by: dimensions, crossings of them, and their values where they are to be enumerated."""

    kinds: tuple[tuple[Literal["language", "region", "surface", "modality"], ...], ...] = (
        ("language",),
        ("region",),
        ("modality",),
    )
    values: Annotated[dict[Literal["language", "region", "surface"], tuple[str, ...]], NothingSaid] = Field(
        default_factory=dict
    )

    @field_validator("kinds")
    @classmethod
    def _kinds(cls, kinds: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        for kind in kinds:
            if not kind or len(set(kind)) < len(kind):
                raise ValueError(f"expected distinct dimensions out of {', '.join(DIMENSIONS)}, got {list(kind)}")
        if len({frozenset(kind) for kind in kinds}) < len(kinds):
            raise ValueError("expected each kind of segment once")
        return kinds

    @field_validator("values")
    @classmethod
    def _values(cls, values: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name in (name for names in values.values() for name in names):
            if not name_is_allowed(name):
                raise ValueError(f"`{name}` may not become a label")
        return values


class LimitSettings(Section):
    """Caps on label values; what exceeds them counts under `other`."""

    models: Annotated[int, Field(ge=1, le=1000)] = 64
    versions: Annotated[int, Field(ge=1, le=1000)] = 64
    policies: Annotated[int, Field(ge=1, le=1000)] = 64
    dimension_values: Annotated[int, Field(ge=1, le=10_000)] = 256
    segments: Annotated[int, Field(ge=1, le=10_000)] = 500
    series: Annotated[int, Field(ge=1, le=100_000)] = 5000


class TimeSettings(Section):
    """What is late and what lies in the future, both against the record's Kafka timestamp."""

    decision_lateness_hours: Annotated[float, Field(ge=SECOND / 3600, le=24 * 180)] = 24.0
    feedback_retention_days: Annotated[float, Field(ge=SECOND / 86_400, le=180)] = 180.0
    future_seconds: Annotated[float, Field(ge=0, le=3600)] = 300.0


class JoinSettings(Section):
    """Feedback without context finds its decision through an index on disk, in `state.directory`."""

    enabled: bool = True
    """Where all feedback carries its decision's context, the join only costs."""
    wait_hours: Annotated[float, Field(ge=SECOND / 3600, le=24 * 30)] = 24.0
    """Feedback waits so long for its decision, then it is an orphan."""
    horizon_days: Annotated[float, Field(ge=SECOND / 86_400, le=180)] = 7.0
    """Decisions are kept so long: some 60 bytes on disk each."""
    maximum_decisions: Annotated[int, Field(ge=10_000)] = 20_000_000
    """So many are kept in each partition; beyond, the oldest go before their time."""
    block_size: Annotated[int, Field(ge=16, le=16_384)] = 256
    """Records of the topic a block, each of which holds up to 256 decisions. Must not change, as `blocks.size`."""
    memory_mb: Annotated[int, Field(ge=4, le=4096)] = 32
    """Caches of a worker's indexes and what they have not written, shared by all its partitions."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.wait_hours > 24 * self.horizon_days:
            raise ValueError(f"wait_hours: expected at most the horizon of {24 * self.horizon_days:g} hours")
        return self


class PoisonSettings(Section):
    """When so many records are refused that a producer must have broken the contract: the worker stops."""

    maximum_ratio: Ratio = 0.5
    window_records: Annotated[int, Field(ge=10)] = 50_000
    """The ratio is taken over this many last records of a topic."""


class ObjectiveOverride(Section):
    """A precision objective; what is left out is inherited."""

    objective: Ratio | None = None
    minimum_labels: Positive | None = None


class ModelOverride(ObjectiveOverride):
    """What is particular to one model."""

    thresholds: tuple[Ratio, ...] = ()
    """decision thresholds: become edges of the score bins"""
    positive_actions: tuple[KnownAction, ...] = tuple(sorted(POSITIVE_ACTIONS))
    policies: Annotated[dict[str, ObjectiveOverride], NothingSaid] = Field(default_factory=dict)

    @field_validator("positive_actions")
    @classmethod
    def _some(cls, actions: tuple[Action, ...]) -> tuple[Action, ...]:
        if not actions:
            raise ValueError(f"expected one or more of {', '.join(KNOWN_ACTIONS)}")
        return actions


class PrecisionSettings(Section):
    """The default precision objective, and the effective labels below which precision may not alert."""

    objective: Ratio = 0.9
    minimum_labels: Positive = 50.0


class DriftSettings(Section):
    """Drift against the pinned reference, and streaming detectors on minute series."""

    reference: UsablePath | None = None
    thresholds: Annotated[dict[str, Positive], NothingSaid] = Field(default_factory=dict)
    detectors: tuple[Any, ...] = (Adwin(), PageHinkley())
    minimum_decisions: Annotated[int, Field(ge=1)] = 20
    minimum_labels: Annotated[int, Field(ge=1)] = 10
    grace_minutes: Annotated[int, Field(ge=0, le=60)] = 1

    @field_validator("thresholds")
    @classmethod
    def _thresholds(cls, thresholds: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(thresholds) - set(DRIFT_THRESHOLDS))
        if unknown:
            raise ValueError(f"expected statistics out of {', '.join(DRIFT_THRESHOLDS)}, got {', '.join(unknown)}")
        return thresholds

    @field_validator("detectors", mode="before")
    @classmethod
    def _detectors(cls, value: Any) -> tuple[AnyDetector, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError("expected a list of detectors, such as [{kind: adwin}]")  # noqa: TRY004 - a setting
        try:
            detectors = msgspec.convert(value, tuple[AnyDetector, ...]) if isinstance(value, list) else tuple(value)
            require_distinct(detectors)
            require_for_shares(detectors)
        except (msgspec.ValidationError, TypeError) as error:
            raise ValueError(str(error)) from error
        return detectors

    def all_thresholds(self) -> dict[str, float]:
        """Effect sizes by statistic."""
        return {name: self.thresholds.get(name, effect) for name, effect in DRIFT_THRESHOLDS.items()}


class WatchdogSettings(Section):
    """How long the worker may make no progress before it ends itself for a restart.

    For `progress_seconds` it tries to write a record, too.
    """

    progress_seconds: Annotated[float, Field(ge=10, le=3600)] = 120.0
    loop_seconds: Annotated[float, Field(ge=5, le=3600)] = 60.0


class LogSettings(Section):
    """What is logged, and in which form."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "console"] = "json"


class Settings(Section):
    """The whole configuration."""

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    http: HttpSettings = HttpSettings()
    state: StateSettings = StateSettings()
    blocks: BlockSettings = BlockSettings()
    segments: SegmentSettings = SegmentSettings()
    limits: LimitSettings = LimitSettings()
    time: TimeSettings = TimeSettings()
    join: JoinSettings = JoinSettings()
    poison: PoisonSettings = PoisonSettings()
    precision: PrecisionSettings = PrecisionSettings()
    models: Annotated[dict[str, ModelOverride], NothingSaid] = Field(default_factory=dict)
    drift: DriftSettings = DriftSettings()
    watchdog: WatchdogSettings = WatchdogSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _names(self) -> Self:
        for model, override in self.models.items():
            for name in (model, *override.policies):
                if not name_is_allowed(name):
                    raise ValueError(f"models: `{name}` may not become a label")
        if self.join.enabled and self.topics.join_retention_hours < 48 * self.join.horizon_days:
            raise ValueError(
                f"topics.join_retention_hours: expected at least {48 * self.join.horizon_days:g}, twice"
                f" join.horizon_days, got {self.topics.join_retention_hours:g}"
            )
        if self.watchdog.progress_seconds < 2 * self.kafka.session_timeout_seconds:
            raise ValueError(
                f"watchdog.progress_seconds: expected at least {2 * self.kafka.session_timeout_seconds:g}, twice"
                f" kafka.session_timeout_seconds, got {self.watchdog.progress_seconds:g}"
            )
        return self

    def as_limits(self) -> Limits:
        """The caps, as the summaries and the ledger take them."""
        values = {str(dimension): frozenset(names) for dimension, names in self.segments.values.items()}
        return Limits(**self.limits.model_dump(), models_in_block=4 * self.limits.models, values=values)


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Settings of a file (None: defaults) and of the environment, which wins.

    Raises InvalidSettings that names file or variable, key, and what is allowed.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        tree = _read(path)
    places: dict[tuple[str, ...], str] = {}
    for name, keys, value in _from_environment(environ):
        _put(tree, keys, value, name)
        places[keys] = name
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        origin = "defaults" if path is None else str(path)
        raise InvalidSettings("\n".join(_explain(problem, origin, places) for problem in error.errors())) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = strict_yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSettings(f"{path}: cannot be read: {error.strerror}") from error
    except (strict_yaml.InvalidYaml, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{path}: expected YAML: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise InvalidSettings(
            f"{path}: expected sections ({', '.join(Settings.model_fields)}), got {type(tree).__name__}"
        )
    return tree


_INJECTED: Final = re.compile(r"^MONITOR_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)$")
"""Kubernetes puts such variables into every container beside a service whose name begins with `monitor`."""


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, tuple[str, ...], Any]]:
    found = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or ("__" not in name and _INJECTED.match(name)):
            continue
        keys = _keys(name.removeprefix(PREFIX).split("__"))
        if keys[0] not in Settings.model_fields or len(keys) < 2:
            allowed = ", ".join(f"{PREFIX}{section.upper()}__..." for section in Settings.model_fields)
            raise InvalidSettings(f"environment {name}: no such setting; allowed are {allowed}")
        # Text stays text (a password 0123 is no number, [a] no list); the sections turn it into what they expect.
        value = _list(name, keys, environ[name]) if _takes_a_list(keys) else None
        found.append((name, keys, environ[name] or None if value is None else value))
    return found


def _keys(parts: Sequence[str]) -> tuple[str, ...]:
    """Keys are written small; the names in models.<name> and models.<name>.policies.<name> stay as they are."""
    names = (1, 3) if parts[0].lower() == "models" else ()
    return tuple(part if index in names else part.lower() for index, part in enumerate(parts))


def _takes_a_list(keys: tuple[str, ...]) -> bool:
    """Whether the setting is a list, or holds lists by name."""
    if keys[0] == "models":
        return keys[-1] in {name for name, field in ModelOverride.model_fields.items() if _is_tuple(field.annotation)}
    section = Settings.model_fields[keys[0]].annotation
    field = section.model_fields.get(keys[1]) if isinstance(section, type) and issubclass(section, BaseModel) else None
    return field is not None and (_is_tuple(field.annotation) or len(keys) > 2)


def _is_tuple(annotation: Any) -> bool:
    return get_origin(annotation) is tuple


def _list(name: str, keys: tuple[str, ...], text: str) -> list[Any] | None:
    try:
        value = strict_yaml.load(text)
    except strict_yaml.InvalidYaml as error:
        raise InvalidSettings(f"environment {name}: {'.'.join(keys)}: expected YAML: {error}") from error
    return value if isinstance(value, list) else None


def _put(tree: dict[str, Any], keys: tuple[str, ...], value: Any, name: str) -> None:
    for key in keys[:-1]:
        below = _nothing_said(tree.get(key))
        if not isinstance(below, dict):
            raise InvalidSettings(f"environment {name}: `{key}` is a value in the file, not a section")
        # A copy: by `&` and `*` of YAML, other keys may hold the same mapping.
        tree[key] = dict(below)
        tree = tree[key]
    tree[keys[-1]] = value


def _explain(problem: Any, origin: str, places: Mapping[tuple[str, ...], str]) -> str:
    path = tuple(str(part) for part in problem["loc"])
    where = next((f"environment {name}" for keys, name in places.items() if keys == path[: len(keys)]), origin)
    key = ".".join(path) or "settings"
    if problem["type"] == "extra_forbidden":
        return f"{where}: {key}: no such key; allowed here: {', '.join(_allowed(path[:-1]))}"
    unsaid = problem["type"] == "missing" or isinstance(problem["input"], dict) or path[-1:] == ("password",)
    given = "" if unsaid else f", got {problem['input']!r}{_quotes(problem)}"
    return f"{where}: {key}: {_allowed_value(problem).removeprefix('Value error, ')}{given}"


def _allowed_value(problem: Any) -> str:
    if problem["type"] != "tuple_type":
        return str(problem["msg"])
    given = problem["input"]
    return f"expected a list, such as [{given}]" if isinstance(given, str | int | float) else "expected a list"


def _quotes(problem: Any) -> str:
    """A hint where YAML took for a number, a date or true and false what is to be text."""
    meant = problem["type"] == "string_type" and isinstance(problem["input"], bool | int | float | date)
    return "; text such as no, on, 1.0 or 2026-01-31 goes in quotes" if meant else ""


def _allowed(path: tuple[str, ...]) -> list[str]:
    section: type[BaseModel] = Settings
    for index, part in enumerate(path):
        if part in section.model_fields:
            annotation = section.model_fields[part].annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                section = annotation
        elif path[index - 1] == "models":
            section = ModelOverride
        elif path[index - 1] == "policies":
            section = ObjectiveOverride
    return list(section.model_fields)
