"""Figure 2 of `webdynamics`: distance between language models that read one web."""

from typing import Any

import numpy as np
from _runs import options, read, save
from _sentence import tell

from commensal.llm.reports import plots_web as plots
from commensal.llm.reports._intervals import mean_of
from commensal.llm.web.law import ends
from commensal.llm.web.reading import distances_of


def main() -> None:
    args = options(__file__, __doc__)
    run = read("web")
    norms: Any = distances_of(run.metrics, run.config)
    save(plots.llm_web_disagreement(norms), args.out)

    courses = [part.sort_values("generation") for _, part in norms.groupby("replicate")]
    both = np.array([ends(course["disagreement"].to_numpy(float)) for course in courses])
    floor = np.mean([ends(course["sampling"].to_numpy(float))[1] for course in courses])
    first, last = both.mean(axis=0)
    (share,) = norms["read_share"].unique()
    ratio = np.exp(mean_of(np.log(both[:, 1] / both[:, 0])))
    tell(
        args.out,
        f"With {len(run.config.models)} models that read {share:.0%} of the web, ‖D‖_F of their "
        f"mean answers goes from {first:.3g} to {last:.3g} in {run.config.generations} generations "
        f"(the last is a mean over the last quarter), {ratio[0]:.2f} of it "
        f"({ratio[1]:.2f} to {ratio[2]:.2f}, Student's 95 % over {len(courses)} replicates); "
        f"the sampling of {run.config.responses} responses alone would leave {floor:.3g}.",
    )


if __name__ == "__main__":
    main()
