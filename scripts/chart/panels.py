"""What a panel asks. The dashboards are in `boards`, their layout and JSON in `dashboards.py`.

`asr_queue_*` is told by every API alike, so that one of them suffices: hence `max`. The namespace
is put into every `{}` and `{,…}`.
"""

from __future__ import annotations

from dataclasses import dataclass

RATE = "[$__rate_interval]"
# Panels on NVIDIA's dcgm-exporter, which this platform does not bring.
GPU_EXPORTER = "DCGM_"
FAILED = ',status=~"5.."'
ENGINE = ',stage="engine"'


@dataclass(frozen=True)
class Panel:
    """`queries` are (PromQL, legend). `kind`: `stat` or `timeseries`. `width` of 24."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 12
    text: str = ""


@dataclass(frozen=True)
class Dashboard:
    """`name` is file, uid and the end of the title."""

    name: str
    title: str
    panels: tuple[Panel, ...]


def sum_rate(metric: str, by: str = "", selector: str = "") -> str:
    """`selector` begins with a comma."""
    return f"sum by ({by}) (rate({metric}{{{selector}}}{RATE}))"


def quantile(q: float, metric: str, by: str = "", selector: str = "") -> str:
    """Of a histogram's recent observations."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{{{selector}}}{RATE})))"


def mean(metric: str, by: str = "") -> str:
    """Of a histogram's recent observations."""
    over = sum_rate(f"{metric}_count", by)
    return f"{sum_rate(f'{metric}_sum', by)} / {over}"


def stat(title: str, query: str, unit: str = "short", text: str = "") -> Panel:
    """A number of its own."""
    return Panel(title, ((query, ""),), unit, "stat", 4, text)


def spread(metric: str, by: str = "") -> tuple[tuple[str, str], ...]:
    """Median, 95th and 99th percentile."""
    name = f"{{{{{by}}}}} " if by else ""
    return tuple((quantile(q, metric, by), f"{name}p{round(q * 100)}") for q in (0.5, 0.95, 0.99))
