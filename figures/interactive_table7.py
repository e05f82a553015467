"""Tables 2, 7 and 8 of `interactive`: how losses change over α and β, with language models."""

from _runs import options, read, save
from _sentence import tell

from commensal.llm.reports import plots_interactive as plots
from commensal.llm.reports._reading import over_replicates
from commensal.llm.reports.findings_interactive import find


def main() -> None:
    args = options(__file__, __doc__)
    run = read("demo")
    save(plots.llm_changes(over_replicates(run.measured), run.datasets), args.out)

    found = find(run.judged, run.datasets, run.config.generations)
    of_tables = [one for one in found if one.source.startswith("Tables 2")]
    held = sum(one.verdict == "reproduces" for one in of_tables)
    part = sum(one.verdict == "in part" for one in of_tables)
    others = next(one for one in found if one.id == "best").instances
    above = [f"{i.where.removeprefix('against ')} ({i.numbers})" for i in others if not i.holds]
    tell(
        args.out,
        f"Over {run.config.replicates} replicates and {run.config.generations} generations, of "
        f"{len(of_tables)} findings that the tables show at β > 0 {held} are reproduced and {part} "
        f"in part; α = β = 0.5 ends with a lower mean loss than {len(others) - len(above)} of "
        f"{len(others)} other mixes, but not than {' and '.join(above) or 'none'}, the difference "
        "with an interval that holds with 95 % for all mixes together.",
    )


if __name__ == "__main__":
    main()
