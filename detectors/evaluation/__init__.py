"""How well alarms tell of known changes: delay, missed changes, false alarms, beside alarms that know nothing."""

from detectors.evaluation.chance import Chance, chance
from detectors.evaluation.episodes import Episodes, episodes
from detectors.evaluation.evaluate import Evaluation, evaluate
from detectors.evaluation.score import Score
from detectors.evaluation.streams import Streams

__all__ = [
    "Chance",
    "Episodes",
    "Evaluation",
    "Score",
    "Streams",
    "chance",
    "episodes",
    "evaluate",
]
