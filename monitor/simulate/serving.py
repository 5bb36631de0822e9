"""Which versions of a model decide in a given minute, after its rollouts so far."""

from __future__ import annotations

from dataclasses import dataclass, replace

from monitor.simulate.incidents import Rollout
from monitor.simulate.rows import Release
from monitor.simulate.scenario import Model


@dataclass(frozen=True, slots=True)
class Serving:
    """A version that decides in a given minute."""

    release: Release
    share: float
    score_shift: float
    separation: float | None


def versions(model: Model, rollouts: list[Rollout], elapsed: int) -> tuple[list[Serving], list[Serving]]:
    """Who serves (shares add up to one) and who shadows, `elapsed` minutes after the origin."""
    serving = [Serving(Release(model.version, "champion"), 1.0, 0.0, None)]
    shadows: dict[str, Serving] = {}
    for rollout in rollouts:
        if rollout.start_minute > elapsed:
            break
        new = Serving(
            Release(rollout.version, rollout.variant),
            rollout.traffic_share,
            rollout.score_shift,
            rollout.separation,
        )
        shadows.pop(rollout.version, None)
        others = [one for one in serving if one.release.version != rollout.version]
        if rollout.variant == "shadow":
            shadows[rollout.version] = new
            continue
        total = sum(one.share for one in others)
        kept = [replace(one, share=one.share / total * (1 - new.share)) for one in others if total > 0]
        serving = [one for one in kept if one.share > 0] + ([new] if new.share > 0 or not kept else [])
    return serving, list(shadows.values())
