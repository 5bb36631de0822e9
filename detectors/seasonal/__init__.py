"""What a series does at this hour of this day of the week, and how far it is from that."""

from detectors.seasonal.hour_of_week import (
    BINS,
    Expectation,
    Season,
    expectation,
    forget,
    hour_of_week,
    merge,
    season_sums,
)

__all__ = [
    "BINS",
    "Expectation",
    "Season",
    "expectation",
    "forget",
    "hour_of_week",
    "merge",
    "season_sums",
]
