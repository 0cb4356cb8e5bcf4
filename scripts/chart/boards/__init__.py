"""The dashboards, one file each."""

from chart.boards.operator import OPERATOR
from chart.boards.service import SERVICE
from chart.boards.workers import WORKERS

DASHBOARDS = (SERVICE, WORKERS, OPERATOR)

__all__ = ["DASHBOARDS"]
