"""What the panels of the model dashboard select, and what it means when they are empty."""

from __future__ import annotations

from typing import Final

MODEL: Final = 'model="$model"'
POLICY: Final = 'policy=~"$policy"'
SEGMENT: Final = 'segment="$segment"'
HERE: Final = (MODEL, POLICY, SEGMENT)
VERSION: Final = ("model_version", "variant")
SCORE: Final = 'input="score"'
FEATURES: Final = 'input!="score"'
CHAMPION: Final = 'variant="champion"'
ROW: Final = ("policy", "segment", "model_version", "variant")

NO_DECISIONS: Final = "no decision of this model, policy and segment in the window"
NO_LABELS: Final = "no review with a known inclusion probability in the window"
NO_REFERENCE: Final = "no reference is pinned for this model, or no decisions in the window"
