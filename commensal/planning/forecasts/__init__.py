"""Forecasts: what a few runs, or the first generations of one, say of the rest."""
