"""The JSON API under `/api/v1`: what the snapshot holds, for programs. Reads only; names are compared as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError

from monitor.http import answers, schemas
from monitor.http.readings import WHOLE, Selection, instant, readings_of, select
from monitor.http.text import printable
from monitor.snapshot import ModelSnapshot, Quantity, Snapshot

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

Name = Annotated[str | None, Query(max_length=512)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]


def only_known(request: Request) -> None:
    """Refuse parameters that a route has not: an answer that ignores one looks as if it had been narrowed by it."""
    known = [field.alias for field in request.scope["route"].dependant.query_params]
    unknown = sorted(set(request.query_params) - set(known))
    message = f"expected names out of {', '.join(known) or 'none'}"
    if unknown:
        raise RequestValidationError(
            [{"type": "unknown", "loc": ("query", printable(name)), "msg": message} for name in unknown]
        )


def api_router(source: Callable[[], Snapshot], *, version: str, config_fingerprint: str) -> APIRouter:
    """The routes under `/api/v1`. A model name may hold slashes, so the longer path comes first."""
    router = APIRouter(prefix="/api/v1", tags=["readings"], dependencies=[Depends(only_known)])

    @router.get("/models", summary="Models that this worker holds")
    def models() -> schemas.Models:
        snapshot = source()
        names = dict.fromkeys(model.model for model in snapshot.models)
        return schemas.Models(
            clock=instant(snapshot.clock), models=[answers.summary(_found(snapshot, name)) for name in names]
        )

    @router.get("/models/{model:path}/segments", summary="Series of a model")
    def segments(model: str, limit: Limit = DEFAULT_LIMIT, offset: Offset = 0) -> schemas.Segments:
        rows = [(part, row) for part in _found(source(), model) for row in range(len(part.series))]
        return schemas.Segments(
            total=len(rows),
            limit=limit,
            offset=offset,
            segments=[answers.segment(part, row) for part, row in rows[offset : offset + limit]],
        )

    @router.get("/models/{model:path}", summary="One model")
    def model_detail(model: str) -> schemas.ModelDetail:
        snapshot = source()
        parts = _found(snapshot, model)
        return schemas.ModelDetail(
            **answers.summary(parts).model_dump(),
            launches=[shown for part in parts for one in part.launches if (shown := answers.launch(one)) is not None],
            objectives=[answers.objective(one) for one in snapshot.objectives if one.model == model],
            detections=[answers.detection(part, one) for part in parts for one in part.detections],
            readings=[
                reading
                for part in parts
                for reading in readings_of(part, [row for row, key in enumerate(part.series) if key.segment == WHOLE])
            ],
        )

    @router.get("/readings", summary="Readings by model, version, variant, policy, segment, window and quantity")
    def readings(
        model: Name = None,
        model_version: Name = None,
        variant: Name = None,
        policy: Name = None,
        segment: Name = None,
        window: Name = None,
        quantity: Quantity | None = None,
        limit: Limit = DEFAULT_LIMIT,
        offset: Offset = 0,
    ) -> schemas.Readings:
        snapshot = source()
        selection = Selection(model, model_version, variant, policy, segment, window, quantity)
        total, found = select(snapshot, selection, limit=limit, offset=offset)
        return schemas.Readings(total=total, limit=limit, offset=offset, clock=instant(snapshot.clock), readings=found)

    @router.get("/windows", summary="Windows and what is read over them")
    def windows() -> schemas.Windows:
        return answers.windows(source())

    @router.get("/service", summary="The state of this worker", tags=["service"])
    def service() -> schemas.Service:
        return answers.service(source(), version=version, config_fingerprint=config_fingerprint)

    return router


def _found(snapshot: Snapshot, name: str) -> list[ModelSnapshot]:
    parts = [model for model in snapshot.models if model.model == name]
    if not parts:
        raise HTTPException(404, detail=f"No model of this name here: {printable(name)}")
    return parts
