"""A hospital of any number of studies that takes no memory: each is made when somebody asks for its day."""

from __future__ import annotations

from datetime import date

from qrkit.simulator.hospital.days import Calendar
from qrkit.simulator.hospital.hospital import DEFAULT_UNTIL, GeneratedHospital


def large_hospital(
    studies: int = 1_000_000, *, seed: int = 1, until: date = DEFAULT_UNTIL, days: int = 5 * 365, matrix: int = 64
) -> GeneratedHospital:
    """Return a large archive; a C-FIND for a day makes that day's studies only, about 50 µs each.

    Parameters
    ----------
    studies
        How many studies there are.
    until
        The last day with studies.
    days
        Over how many days they are spread.
    matrix
        Rows and columns of the images.
    """
    calendar = Calendar.spread(studies, until, days)
    return GeneratedHospital(seed=seed, studies=studies, calendar=calendar, matrix=matrix)
