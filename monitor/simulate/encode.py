"""Columns to the bytes of events, through one template a model and minute.

Times and ids come first and have fixed widths, so that `prepared` can move events in time without decoding them.
Nothing is escaped here: every name that reaches a template has passed `spec.Label`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.events import SCHEMA_VERSION
from monitor.simulate.draw import MAX_LATENCY_MS, NUMBER_LIMIT, NUMBER_STEPS
from monitor.simulate.feedback import STAGES, VERDICTS, Feedback, Kind
from monitor.simulate.records import Records
from monitor.simulate.rows import MS_PER_MINUTE, SCORE_UNITS, Ints, Release
from monitor.simulate.scenario import CategoryFeature, Model, NumberFeature
from monitor.simulate.traffic import Traffic

ID_WIDTH: Final = 24
"""Seed (6) and model (2), minute since the epoch (8), row (6), in hexadecimal with two dashes between them."""
ID_MINUTE: Final = slice(9, 17)
"""Where the minute stands in an id."""

_SECONDS: Final = [b"%02d.%03d" % divmod(ms, 1000) for ms in range(MS_PER_MINUTE)]
_SCORES: Final = [b"0.%04d" % units for units in range(SCORE_UNITS)]
_LATENCIES: Final = [b"%d.%03d" % divmod(ms, 1000) for ms in range(MAX_LATENCY_MS + 1)]
_JSON_BOOL: Final = (b"false", b"true")
_VERSION: Final = SCHEMA_VERSION.encode()


def minute_text(minute: int) -> bytes:
    """`2026-01-31T23:59` of a minute since the epoch."""
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M").encode()


def instants(ms: Ints) -> list[bytes]:
    """RFC 3339 texts of times in milliseconds since the epoch."""
    text: npt.NDArray[np.bytes_] = np.datetime_as_string(ms.astype("datetime64[ms]"), unit="ms").astype("S23")
    return [one + b"Z" for one in text.tolist()]


class Encoder:
    """Writes the events of one model. Keeps nothing but fragments it has written before."""

    def __init__(self, model: Model, *, model_index: int, seed: int) -> None:
        self._model = model
        self._prefix = b"%06x%02x-" % (seed & 0xFFFFFF, model_index)
        self._cells: dict[tuple[int, int, int, int, Release, int], bytes] = {}
        self._tables = [_feature_table(feature) for feature in model.features]
        names = b",".join(b'"%b":%%b' % feature.name.encode() for feature in model.features)
        self._features = b',"features":{%b}' % names if names else b""
        self._thresholds = [
            b',"automated":true,"threshold":%b' % msgspec.json.encode(policy.threshold) for policy in model.policies
        ]

    def decisions(self, traffic: Traffic) -> Records:
        """The decisions of one minute, in time order."""
        rows = traffic.rows
        template = (
            b'{"type":"decision","schema_version":"%b","occurred_at":"%b:%%bZ","decision_id":"%b%%06x"'
            b',"score":%%b,"latency_seconds":%%b,"views":%%d,"actor_key":"u%%07d"%b%%b%%b%%b}'
        ) % (_VERSION, minute_text(traffic.minute), self._id_prefix(traffic), self._features)
        everything = np.arange(len(rows))
        columns: list[Sequence[object]] = [
            _look_up(_SECONDS, rows.offset_ms),
            range(len(rows)),
            _look_up(_SCORES, rows.score),
            _look_up(_LATENCIES, rows.latency_ms),
            rows.views.tolist(),
            rows.actor.tolist(),
            *(_look_up(table, rows.features[:, index]) for index, table in enumerate(self._tables)),
            self._design(traffic, everything, with_sampled=True),
            self._cell(traffic, everything),
            _look_up(self._thresholds, rows.policy),
        ]
        values = list(map(template.__mod__, zip(*columns, strict=True)))
        start = DECISION_ID_AT
        return Records(
            timestamps=traffic.start_ms + rows.offset_ms,
            keys=[value[start : start + ID_WIDTH] for value in values],
            values=values,
        )

    def feedback(self, traffic: Traffic, feedback: Feedback) -> Records:
        """Events of one kind of feedback, in the order of its columns."""
        prefix = self._id_prefix(traffic)
        ids = [prefix + b"%06x" % row for row in feedback.row.tolist()]
        context = self._context(traffic, feedback)
        times = instants(feedback.at_ms)
        codes, people = feedback.code.tolist(), feedback.person.tolist()
        values: list[bytes]
        if feedback.kind is Kind.REPORT:
            reasons = [self._model.policies[policy].name.encode() for policy in traffic.rows.policy[feedback.row]]
            values = [
                b'{"type":"report","schema_version":"%b","at":"%b","decision_id":"%b"%b,"report_id":"rp-%b"'
                b',"reason":"%b","reporter_key":"p%06d"}' % (_VERSION, at, key, extra, key, reason, person)
                for at, key, extra, reason, person in zip(times, ids, context, reasons, people, strict=True)
            ]
        elif feedback.kind is Kind.APPEAL:
            values = [
                b'{"type":"appeal","schema_version":"%b","at":"%b","decision_id":"%b"%b,"appeal_id":"ap-%b"'
                b',"stage":"%b"}' % (_VERSION, at, key, extra, key, STAGES[code].encode())
                for at, key, extra, code in zip(times, ids, context, codes, strict=True)
            ]
        else:
            tag, source = (b"ra", b"audit") if feedback.kind is Kind.AUDIT else (b"rq", b"queue")
            design = [b""] * len(ids)
            if feedback.kind is Kind.AUDIT:  # a queue has no known probability, and says none
                design = self._design(traffic, feedback.row, with_sampled=False)
            versions = [self._model.policies[policy].version.encode() for policy in traffic.rows.policy[feedback.row]]
            blind = _look_up(_JSON_BOOL, feedback.blind.astype(np.int64))
            values = [
                b'{"type":"review","schema_version":"%b","reviewed_at":"%b","decision_id":"%b"%b,"review_id":"%b-%b"'
                b',"verdict":"%b","source":"%b"%b,"reviewer":"reviewer-%03d","policy_version":"%b","blind":%b}'
                % (_VERSION, at, key, extra, tag, key, VERDICTS[code].encode(), source, known, person, version, unseen)
                for at, key, extra, code, known, person, version, unseen in zip(
                    times, ids, context, codes, design, people, versions, blind, strict=True
                )
            ]
        return Records(timestamps=feedback.at_ms, keys=ids, values=values)

    def _id_prefix(self, traffic: Traffic) -> bytes:
        return self._prefix + b"%08x-" % traffic.minute

    def _design(self, traffic: Traffic, row: Ints, *, with_sampled: bool) -> list[bytes]:
        """`inclusion_probability` and `design_id` of the rows, and if wanted whether they were sampled."""
        design = self._model.audit
        if design is None:
            return [b""] * len(row)
        declared = np.nan_to_num(traffic.declared[row], nan=0.0)
        probabilities, codes = np.unique(declared, return_inverse=True)
        name = design.design_id.encode()
        table: list[bytes] = []
        for probability in probabilities.tolist():
            known = b',"inclusion_probability":%b,"design_id":"%b"' % (msgspec.json.encode(probability), name)
            known = known if probability > 0 else b""
            table += [b',"sampled":%b%b' % (flag, known) if with_sampled else known for flag in _JSON_BOOL]
        return _look_up(table, codes * 2 + traffic.sampled[row])

    def _cell(self, traffic: Traffic, row: Ints) -> list[bytes]:
        """The fields that decisions of one cell share."""
        rows, names = traffic.rows, traffic.rows.names
        done = (traffic.acted * 1 + traffic.escalated * 2)[row]
        columns = (rows.policy[row], rows.language[row], rows.region[row], rows.surface[row], rows.release[row], done)
        shape = (len(names.policy), len(names.language), len(names.region), len(names.surface), len(names.release), 3)
        cells, codes = np.unique(np.ravel_multi_index(columns, shape), return_inverse=True)
        table: list[bytes] = []
        for policy, language, region, surface, release, action in zip(
            *(axis.tolist() for axis in np.unravel_index(cells, shape)), strict=True
        ):
            cell = (policy, language, region, surface, names.release[release], action)
            fragment = self._cells.get(cell)
            if fragment is None:
                fragment = self._cells[cell] = self._write_cell(*cell)
            table.append(fragment)
        return _look_up(table, codes)

    def _write_cell(self, policy: int, language: int, region: int, surface: int, release: Release, done: int) -> bytes:
        rule = self._model.policies[policy]
        fields = {
            "model": self._model.name,
            "model_version": release.version,
            "policy": rule.name,
            "policy_version": rule.version,
            "modality": self._model.modality,
            "language": self._model.names("language")[language],
            "region": self._model.names("region")[region],
            "surface": self._model.names("surface")[surface],
            "variant": release.variant,
            "action": ("allow", rule.action, "escalate")[done],
        }
        return b"," + msgspec.json.encode(fields)[1:-1]

    def _context(self, traffic: Traffic, feedback: Feedback) -> list[bytes]:
        row = feedback.row
        begin = b',"decision":{"occurred_at":"%b:' % minute_text(traffic.minute)
        return [
            b'%b%bZ","score":%b%b%b}' % (begin, seconds, score, design, cell) if wanted else b""
            for wanted, seconds, score, design, cell in zip(
                feedback.context.tolist(),
                _look_up(_SECONDS, traffic.rows.offset_ms[row]),
                _look_up(_SCORES, traffic.rows.score[row]),
                self._design(traffic, row, with_sampled=False),
                self._cell(traffic, row),
                strict=True,
            )
        ]


DECISION_ID_AT: Final = len(
    b'{"type":"decision","schema_version":"1.0","occurred_at":"2026-01-31T23:59:59.999Z","decision_id":"'
)
"""Where the id stands in a decision."""


def launch(model: str, *, version: str, variant: str, stage: str, traffic_share: float, at_ms: int) -> bytes:
    """One launch event."""
    [at] = instants(np.array([at_ms]))
    event = {
        "type": "launch",
        "schema_version": SCHEMA_VERSION,
        "at": at.decode(),
        "model": model,
        "model_version": version,
        "variant": variant,
        "stage": stage,
        "traffic_share": traffic_share,
    }
    return msgspec.json.encode(event)


def _feature_table(feature: NumberFeature | CategoryFeature) -> list[bytes]:
    """Code -> JSON; the last entry, reached by -1, is null."""
    if isinstance(feature, CategoryFeature):
        return [b'"%b"' % name.encode() for name in feature.shares] + [b"null"]
    limit = NUMBER_LIMIT * NUMBER_STEPS
    values = [feature.mean + feature.sd * step / NUMBER_STEPS for step in range(-limit, limit + 1)]
    return [msgspec.json.encode(float(f"{value:.6g}")) for value in values] + [b"null"]


def _look_up(table: Sequence[bytes], codes: npt.NDArray[np.integer]) -> list[bytes]:
    return list(map(table.__getitem__, codes.tolist()))
