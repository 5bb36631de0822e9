"""Control charts: streaming detectors with a stated average run length, and those run lengths."""

from detectors.charts.page_hinkley import PageHinkley

__all__ = [
    "PageHinkley",
]
