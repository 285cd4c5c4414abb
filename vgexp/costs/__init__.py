"""What a training step costs: FLOPs and bytes, counted without running it, and forecast in closed form."""

from vgexp.costs.counting import Costs, ledger
from vgexp.costs.forecast import counted, forecast

__all__ = ["Costs", "counted", "forecast", "ledger"]
