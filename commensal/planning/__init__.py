"""Plans: what a mix of documents will do, and what a few runs or generations say of the rest.

>>> from commensal import planning
>>> planning.AdviseConfig(real=12_000, synthetic=30_000, models=3, generations=6).fresh
0
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal.planning.advice._advise import Advice, advise
    from commensal.planning.advice._advise_config import AdviseConfig
    from commensal.planning.forecasts._curves import Curves, read_curves
    from commensal.planning.forecasts._forecast import Forecast, forecast
    from commensal.planning.forecasts._pilots import PilotForecast, forecast_pilots, forecast_run
    from commensal.planning.forecasts._plan import PilotPlan, plan_of, plan_pilots
    from commensal.planning.forecasts._scalars import PilotFit

__all__ = [
    "Advice",
    "AdviseConfig",
    "Curves",
    "Forecast",
    "PilotFit",
    "PilotForecast",
    "PilotPlan",
    "advise",
    "forecast",
    "forecast_pilots",
    "forecast_run",
    "plan_of",
    "plan_pilots",
    "read_curves",
]

_PLACES = {
    "Advice": "commensal.planning.advice._advise",
    "AdviseConfig": "commensal.planning.advice._advise_config",
    "Curves": "commensal.planning.forecasts._curves",
    "Forecast": "commensal.planning.forecasts._forecast",
    "PilotFit": "commensal.planning.forecasts._scalars",
    "PilotForecast": "commensal.planning.forecasts._pilots",
    "PilotPlan": "commensal.planning.forecasts._plan",
    "advise": "commensal.planning.advice._advise",
    "forecast": "commensal.planning.forecasts._forecast",
    "forecast_pilots": "commensal.planning.forecasts._pilots",
    "forecast_run": "commensal.planning.forecasts._pilots",
    "plan_of": "commensal.planning.forecasts._plan",
    "plan_pilots": "commensal.planning.forecasts._plan",
    "read_curves": "commensal.planning.forecasts._curves",
}
__getattr__, __dir__ = attach(__name__, __all__, _PLACES)
