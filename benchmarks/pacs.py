"""``python -m benchmarks.pacs PORT STUDIES CASE [MOVE_PORT]``: a PACS of CT studies of five series.

It may send by C-MOVE to an AE title QRKIT at that port.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from datetime import date

from qrkit.simulator import Quirks, Simulator
from qrkit.simulator.facts import Kind, Series, Study
from qrkit.simulator.hospital.hospital import Calendar, GeneratedHospital, Instances, make_study
from qrkit.simulator.hospital.people import patient
from qrkit.simulator.hospital.recipes import CT_FORCE

DELAY = 0.02
UNTIL = date(2026, 6, 30)
DAYS = 30

CASES: dict[str, Quirks] = {
    "nothing helpful": Quirks(
        no_modalities_in_study=True,
        omit_keys=("SOPClassesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
        relational=False,
        refuse_uid_lists=True,
        delay_first_response=DELAY,
    ),
    "SOPClassesInStudy": Quirks(relational=False, delay_first_response=DELAY),
    "relational queries": Quirks(omit_keys=("SOPClassesInStudy",), refuse_uid_lists=True, delay_first_response=DELAY),
    "objects": Quirks(),
    "slow objects": Quirks(delay_object=0.02),
}

_SERIES = (
    ("CT", "Topogram", Kind.CT_LOCALIZER, 2),
    ("CT", "Thorax 3.0 Br40", Kind.CT_IMAGE, 40),
    ("CT", "Thorax 5.0 Br64", Kind.CT_IMAGE, 20),
    ("CT", "MPR cor", Kind.CT_IMAGE, 10),
    ("SR", "Dose Report", Kind.RDSR, 1),
)
"""Few images: the simulator looks at each of them to find those of a SOP Class, where a PACS has an index."""


class CTHospital(GeneratedHospital):
    """CT studies of five series, one of them a Radiation Dose SR."""

    def _make_study(self, number: int) -> Study:
        made = make_study(self.uids, number, self.calendar.day_of(number), patient(self.seed, number))
        series = tuple(self._series(number, place, made) for place in range(1, len(_SERIES) + 1))
        return replace(made, StudyDescription="CT THORAX", series=series)

    def _series(self, number: int, place: int, study: Study) -> Series:
        modality, description, kind, count = _SERIES[place - 1]
        instances = Instances(
            uids=self.uids,
            study=number,
            series=place,
            contents=((kind, count),),
            transfer_syntax="1.2.840.10008.1.2.1",
        )
        return Series(
            SeriesInstanceUID=self.uids.uid(number, place),
            Modality=modality,
            SeriesNumber=place,
            SeriesDescription=description,
            SeriesDate=study.StudyDate,
            SeriesTime=study.StudyTime,
            BodyPartExamined="CHEST",
            ProtocolName="Thorax Routine",
            station=CT_FORCE,
            sop_classes=(instances[0].SOPClassUID,),
            instances=instances,
        )


def hospital(studies: int) -> CTHospital:
    """Return a month of CT studies."""
    return CTHospital(seed=1, studies=studies, calendar=Calendar.spread(studies, UNTIL, DAYS))


def main() -> None:
    """Serve until the process ends."""
    port, studies, case = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    archive = hospital(studies)
    for number in range(studies):
        archive.study(number)
    destinations = {"QRKIT": ("127.0.0.1", int(sys.argv[4]))} if len(sys.argv) > 4 else {}
    with Simulator(archive, port=port, quirks=CASES[case], destinations=destinations):
        threading.Event().wait()


if __name__ == "__main__":
    main()
