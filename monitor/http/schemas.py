"""The JSON that the API answers with. A number that is not known or not defined is null; `state` says which."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from monitor.snapshot import Quantity


class State(StrEnum):
    """Whether a reading has a value, and if not, why."""

    KNOWN = "known"
    NO_DATA = "no_data"
    UNDEFINED = "undefined"


class Series(BaseModel):
    """What a reading speaks of."""

    model: str
    model_version: str
    variant: str
    policy: str
    segment: str = Field(description="`all` is the whole of the policy.")


class Reading(Series):
    """One quantity of one series over one window of decision time."""

    window: str
    quantity: Quantity
    method: str = Field(description="Estimator or statistic; empty for plain counts.")
    input: str = Field(description="What drifts or is missing: `score` or a feature; empty otherwise.")
    state: State
    value: float | None
    lower: float | None = Field(description="Lower end of the 95 % interval.")
    upper: float | None = Field(description="Upper end of the 95 % interval.")
    p_value: float | None
    threshold: float | None = Field(description="Configured effect size.")
    sample: float | None = Field(description="Decisions or effective labels behind the value.")


class Page(BaseModel):
    """Where a list stands in the whole: `total` items, of which these begin at `offset`."""

    total: int
    limit: int
    offset: int


class Readings(Page):
    """A page of readings."""

    clock: datetime | None = Field(description="Event time of the readings.")
    readings: list[Reading]


class Role(BaseModel):
    """A version of a model in a role."""

    model_version: str
    variant: str


class ModelSummary(BaseModel):
    """A watched model."""

    model: str
    roles: list[Role]
    policies: list[str]
    series: int
    decisions: int = Field(description="Distinct accepted decisions since the state began.")
    last_decision_at: datetime | None


class Models(BaseModel):
    """All models that this worker holds."""

    clock: datetime | None
    models: list[ModelSummary]


class Launch(Role):
    """The latest launch of a version into a stage."""

    stage: str
    at: datetime
    traffic_share: float | None


class ObjectiveOut(BaseModel):
    """Configured bounds of a policy."""

    policy: str
    precision: float
    minimum_labels: float


class DetectionOut(Series):
    """How often a streaming detector has fired."""

    input: str
    detector: str
    count: int
    last_at: datetime | None


class ModelDetail(ModelSummary):
    """A model with its launches, objectives, detections and the readings of each policy as a whole."""

    launches: list[Launch]
    objectives: list[ObjectiveOut]
    detections: list[DetectionOut]
    readings: list[Reading]


class SegmentRow(Series):
    """A series of a model and its counts since the state began."""

    decisions: dict[str, int] = Field(description="By action.")
    reviews: int
    appeals_filed: int
    reports: int


class Segments(Page):
    """A page of the series of a model."""

    segments: list[SegmentRow]


class WindowOut(BaseModel):
    """A window and what is read over it."""

    window: str
    quantities: list[Quantity]
    methods: list[str]
    inputs: list[str]


class Windows(BaseModel):
    """All windows, in the configured order."""

    windows: list[WindowOut]


class PartitionLag(BaseModel):
    """Records of a partition that are not read yet."""

    topic: str
    partition: int
    records: int


class Count(BaseModel):
    """A counter of the service."""

    metric: str
    labels: dict[str, str]
    value: int


class Service(BaseModel):
    """The state of this worker."""

    version: str
    config: str
    ready: bool
    reason: str
    clock: datetime | None
    taken_at: datetime | None
    snapshot_seconds: float | None
    last_commit_at: datetime | None
    last_checkpoint_at: datetime | None
    last_event_at: dict[str, datetime]
    assigned_partitions: dict[str, int]
    lag: list[PartitionLag]
    counters: list[Count]
