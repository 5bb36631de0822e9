"""What a client accepts, by the weights that it states. A weight of 0 refuses; a wildcard asks for nothing special."""

from __future__ import annotations

from monitor.exposition import TextFormat


def text_format(accept: str) -> TextFormat:
    """The format for an Accept header: OpenMetrics 1 when it is named and not weighted below `text/plain`."""
    open_metrics = plain = 0.0
    for name, parameters, weight in _weighted(accept):
        if name == "application/openmetrics-text" and parameters.get("version", "1.0.0").startswith("1."):
            open_metrics = max(open_metrics, weight)
        elif name == "text/plain":
            plain = max(plain, weight)
    return TextFormat.OPENMETRICS if open_metrics > 0 and open_metrics >= plain else TextFormat.PROMETHEUS


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether gzip may be used for an Accept-Encoding header."""
    weights = {name: weight for name, _, weight in _weighted(accept_encoding)}
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weighted(header: str) -> list[tuple[str, dict[str, str], float]]:
    found = []
    for item in header.split(","):
        name, *rest = (part.strip().lower() for part in item.split(";"))
        pairs = (part.partition("=") for part in rest)
        parameters = {key.strip(): value.strip().strip('"') for key, _, value in pairs}
        if name:
            found.append((name, parameters, _weight(parameters.pop("q", "1"))))
    return found


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0
