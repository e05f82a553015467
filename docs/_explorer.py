"""The explorer's page inside the documentation: a small sweep of systems that can diverge."""

from __future__ import annotations

from pathlib import Path

from commensal import explore, sweep

ROOT = Path(__file__).parents[1]
HUMANS = (0.0, 0.1, 0.2, 0.3, 0.4)
GRID = tuple(i / 30 for i in range(31))


def write(page: Path) -> None:
    """Compute what is not yet in ``build/explorer``, and write the page."""
    kept = ROOT / "build" / "explorer"
    kept.mkdir(parents=True, exist_ok=True)
    sweeps = []
    for share in HUMANS:
        config = sweep.RegressionSweep(
            alpha=GRID,
            beta=GRID,
            models=(2, 4, 8),
            human_share=share,
            design="misaligned",
            strength=10,
            public=1,
        )
        path = kept / f"humans{share:g}.nc"
        try:
            sweeps.append(sweep.regression(config, path))
        except sweep.OutputFileError:  # of an earlier version of this page
            sweeps.append(sweep.regression(config, path, overwrite=True))
    page.write_text(explore.sweep_page(sweeps), encoding="utf-8")
