"""Labels that arrive late: how many have come, what the rest will say, and what cannot be known yet."""

from detectors.delay.aalen_johansen import AalenJohansen, aalen_johansen
from detectors.delay.arrival_curve import ArrivalCurve, arrival_curve
from detectors.delay.chain_ladder import ChainLadder, chain_ladder
from detectors.delay.exits import Exits, exits_from_cohorts, exits_from_observations
from detectors.delay.ipcw import ipcw
from detectors.delay.kaplan_meier import KaplanMeier, kaplan_meier
from detectors.delay.nowcast import Nowcast, Unidentified, nowcast
from detectors.delay.restricted_mean import restricted_mean
from detectors.delay.same_age import SameAge, same_age

__all__ = [
    "AalenJohansen",
    "ArrivalCurve",
    "ChainLadder",
    "Exits",
    "KaplanMeier",
    "Nowcast",
    "SameAge",
    "Unidentified",
    "aalen_johansen",
    "arrival_curve",
    "chain_ladder",
    "exits_from_cohorts",
    "exits_from_observations",
    "ipcw",
    "kaplan_meier",
    "nowcast",
    "restricted_mean",
    "same_age",
]
