"""What a training costs, FLOPs and bytes, counted without running it and forecast in closed form; what there is."""

from vgexp.costs import computer
from vgexp.costs.counting import Costs, ledger
from vgexp.costs.forecast import counted, follows_depth, forecast
from vgexp.costs.memory import EVALUATED_AT_ONCE, largest_stack, require_memory, si, sizes

__all__ = [
    "EVALUATED_AT_ONCE",
    "Costs",
    "computer",
    "counted",
    "follows_depth",
    "forecast",
    "largest_stack",
    "ledger",
    "require_memory",
    "si",
    "sizes",
]
