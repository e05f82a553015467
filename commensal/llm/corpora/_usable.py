"""Iterate over usable rows, and count those that are left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from commensal.llm.corpora._templates import Row

Made = TypeVar("Made")

# So many rows without a text are enough to say that there will be none.
_HOPELESS = 1000


class Usable(Generic[Made]):
    """Iterator over the results of the rows from which ``make`` can make something.

    Parameters
    ----------
    rows : iterable of (str, mapping)
        Position of each row ("line 7"), and its columns.
    make : callable
        Function of a row; it raises ValueError where nothing can be made of it.
    most : float
        Largest share of the rows that may be left out (``max_dropped``).
    source : str
        Name of what the rows are of, for messages.
    """

    def __init__(
        self,
        rows: Iterable[tuple[str, Row]],
        make: Callable[[Row], Made],
        most: float,
        source: str,
    ) -> None:
        self.rows = rows
        self.make = make
        self.most = most
        self.source = source
        self.left_out, self.total, self.first = 0, 0, ""

    def __iter__(self) -> Iterator[Made]:
        for where, row in self.rows:
            self.total += 1
            try:
                made = self.make(row)
            except ValueError as error:
                self.first = self.first or f"{where}: {error}"
                self.left_out += 1
                if self.left_out == self.total == _HOPELESS:
                    self.notes()
                continue
            yield made

    def notes(self) -> list[str]:
        """Describe the rows that were left out so far.

        Raises
        ------
        ValueError
            If they are more than may be.
        """
        if not self.left_out:
            return []
        share = f"{self.left_out:,} of {self.total:,} rows"
        if self.left_out > self.most * self.total:
            why = f" ({share} cannot be used, more than max_dropped = {self.most:g})"
            raise ValueError(f"{self.source}, {self.first}{why if self.total > 1 else ''}")
        return [f"{self.source}: {share} cannot be used, the first at {self.first}; left out"]
