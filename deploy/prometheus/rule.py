"""What a rule is made of. Durations are seconds; an alert without `for_seconds` says why in its own module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

SECOND_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


class Severity(StrEnum):
    """Who hears of it: critical wakes a person, warning waits for the day, info is context, none is for machines."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
    NONE = "none"


class Board(StrEnum):
    """Dashboard that an alert links to, by its uid in Grafana."""

    FLEET = "moderation-fleet"
    MODEL = "moderation-model"


@dataclass(frozen=True, slots=True)
class Links:
    """Where people read on. Both are prefixes; set your own addresses with the options of `deploy.prometheus.build`."""

    runbook: str = "deploy/runbook.md"
    grafana: str = "http://localhost:3000"

    def runbook_url(self, alert: str) -> str:
        """Address of the alert's heading."""
        return f"{self.runbook}#{alert.lower()}"

    def dashboard_url(self, board: Board, variables: Sequence[str]) -> str:
        """Address of the board, narrowed down to the labels of the firing alert."""
        query = "&".join(f"var-{name}={{{{ $labels.{name} | urlquery }}}}" for name in variables)
        return f"{self.grafana}/d/{board.value}" + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded expression, named `level:metric:operations`."""

    record: str
    expr: str

    def document(self, links: Links) -> dict[str, object]:
        """The rule as Prometheus reads it."""
        del links
        return {"record": self.record, "expr": self.expr}

    def paced(self, factor: float) -> Recording:
        """Recordings have no waiting time."""
        del factor
        return self


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule. `summary` has no template values (notifications group by it), `description` has them all."""

    name: str
    severity: Severity
    expr: str
    summary: str
    description: str
    for_seconds: float
    keep_firing_seconds: float = 0.0
    board: Board = Board.FLEET
    variables: tuple[str, ...] = ()
    """Labels of the alert that narrow the dashboard."""
    labels: Mapping[str, str] = field(default_factory=dict)

    def document(self, links: Links) -> dict[str, object]:
        """The rule as Prometheus reads it."""
        rule: dict[str, object] = {"alert": self.name, "expr": self.expr}
        if self.for_seconds:
            rule["for"] = duration(self.for_seconds)
        if self.keep_firing_seconds:
            rule["keep_firing_for"] = duration(self.keep_firing_seconds)
        rule["labels"] = {"severity": self.severity.value, **self.labels}
        rule["annotations"] = {
            "summary": self.summary,
            "description": self.description,
            "runbook_url": links.runbook_url(self.name),
            "dashboard_url": links.dashboard_url(self.board, self.variables),
        }
        return rule

    def paced(self, factor: float) -> Alert:
        """The same alert where time runs `factor` times faster than the clock. Ranges in `expr` stay as they are."""
        return replace(
            self, for_seconds=self.for_seconds / factor, keep_firing_seconds=self.keep_firing_seconds / factor
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated in order, so that an alert sees what was recorded above it in the same tick."""

    name: str
    rules: tuple[Recording | Alert, ...]

    def document(self, links: Links) -> dict[str, object]:
        """The group as Prometheus reads it."""
        return {"name": self.name, "rules": [rule.document(links) for rule in self.rules]}

    def paced(self, factor: float) -> Group:
        """All rules for time that runs `factor` times faster than the clock (demo, tests)."""
        if not factor > 0:
            raise ValueError(f"factor: got {factor}, allowed is a number above 0")
        return replace(self, rules=tuple(rule.paced(factor) for rule in self.rules))


def alerts(groups: Iterable[Group]) -> list[Alert]:
    """Alerts of the groups, in order."""
    return [rule for group in groups for rule in group.rules if isinstance(rule, Alert)]


def duration(seconds: float) -> str:
    """Seconds in Prometheus' notation, in the largest unit that divides them; below a second in milliseconds."""
    if seconds != int(seconds):
        return f"{max(1, round(seconds * 1000))}ms"
    whole = int(seconds)
    for size, unit in SECOND_UNITS:
        if whole % size == 0:
            return f"{whole // size}{unit}"
    raise AssertionError(seconds)
