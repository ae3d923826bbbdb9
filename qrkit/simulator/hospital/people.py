"""The people of the simulated hospital: patients with names in several scripts, and physicians."""

from __future__ import annotations

import random
from datetime import date, timedelta

from qrkit.simulator.facts import Patient

_LATIN_1 = ("ISO_IR 100",)
_UTF_8 = ("ISO_IR 192",)
_JAPANESE = ("", "ISO 2022 IR 87")
_ASCII: tuple[str, ...] = ()

# fmt: off
_FAMILY_ASCII = [
    "Smith", "Jones", "Taylor", "Brown", "Wilson", "Evans", "Walker", "Wright", "Hughes",
    "Edwards", "Green", "Lewis", "Wood", "Harris", "Martin", "Jackson", "Clarke", "Turner", "Hill",
    "Cooper", "Ward", "Morris", "Moore", "Clark", "Baker", "Patel", "Khan", "Ali", "Nguyen",
    "Okafor", "Mensah", "Cohen", "Rossi",
]
_GIVEN_F = [
    "Anna", "Mary", "Jane", "Sarah", "Emma", "Olivia", "Grace", "Amina", "Priya", "Linh", "Ruth",
    "Helen", "Julia", "Nora", "Eva", "Clara",
]
_GIVEN_M = [
    "John", "Peter", "David", "Paul", "James", "Thomas", "Omar", "Ravi", "Minh", "Kwame", "Daniel",
    "Martin", "Luca", "Adam", "Simon", "Henry",
]
# fmt: on
_OTHER_NAMES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Müller^Jörg", "M", _LATIN_1),
    ("Böhm^Käthe", "F", _LATIN_1),
    ("Åkesson^Göran", "M", _LATIN_1),
    ("Sørensen^Bjørn", "M", _LATIN_1),
    ("Núñez García^María José", "F", _LATIN_1),
    ("Lefèvre^Hélène^^Mme", "F", _LATIN_1),
    ("Gonçalves^João", "M", _LATIN_1),
    ("Łukaszewicz^Żaneta", "F", _UTF_8),
    ("Papadopoulos^Nikos=Παπαδόπουλος^Νίκος", "M", _UTF_8),
    ("Ivanova^Olga=Иванова^Ольга", "F", _UTF_8),
    ("Wang^XiaoDong=王^小东", "M", _UTF_8),
    ("Hong^Gildong=洪^吉洞=홍^길동", "M", _UTF_8),
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", "M", _JAPANESE),
    ("Suzuki^Hanako=鈴木^花子=すずき^はなこ", "F", _JAPANESE),
)
_EVERY_OTHER_NAME = 5
"""Every n-th patient has a name that needs more than ASCII."""

PHYSICIANS = (
    "House^Gregory^^Dr.",
    "Grey^Meredith^^Dr.",
    "Watson^John^H^Dr.",
    "Zhivago^Yuri^^Dr.",
    "Curie^Irene^^Dr.",
    "",
)
PHYSICIANS_LATIN_1 = ("Weiß^Jürgen^^Dr.", "Bäcker^Änne^^Prof. Dr.")


def patient(seed: int, number: int) -> Patient:
    """Return the patient with this number; always the same for the same seed."""
    rng = random.Random(f"patient {seed} {number}")
    if number % _EVERY_OTHER_NAME == 0:
        name, sex, character_set = _OTHER_NAMES[(number // _EVERY_OTHER_NAME) % len(_OTHER_NAMES)]
    else:
        sex, character_set = rng.choice("FM"), _ASCII
        name = f"{rng.choice(_FAMILY_ASCII)}^{rng.choice(_GIVEN_F if sex == 'F' else _GIVEN_M)}"
    born = date(1930, 1, 1) + timedelta(days=int(rng.triangular(0, 33_000, 9_000)))
    size = rng.gauss(1.66 if sex == "F" else 1.78, 0.07)
    return Patient(
        PatientID=f"Q{100_000 + number}",
        PatientName=name,
        PatientBirthDate=born.strftime("%Y%m%d"),
        PatientSex=sex,
        PatientSize=round(size, 2),
        PatientWeight=round(max(rng.gauss(26, 4), 16) * size**2, 1),
        SpecificCharacterSet=character_set,
    )


def patient_number(PatientID: str) -> int | None:
    """Return the number of a patient; None for a PatientID of another hospital.

    >>> patient_number("Q100005")
    5
    """
    digits = PatientID.removeprefix("Q")
    known = PatientID.startswith("Q") and digits.isdecimal() and digits == str(int(digits))
    return int(digits) - 100_000 if known and int(digits) >= 100_000 else None


def referring_physician(rng: random.Random, character_set: tuple[str, ...]) -> str:
    """Return a physician whose name can be written in the patient's character set."""
    pool = PHYSICIANS + PHYSICIANS_LATIN_1 if character_set in (_LATIN_1, _UTF_8) else PHYSICIANS
    return rng.choice(pool)


def age_at(born: str, on: date) -> str:
    """PatientAge on a day, as an age string (PS3.5 6.2).

    >>> age_at("19700815", date(2026, 1, 31))
    '055Y'
    """
    years = on.year - int(born[:4]) - ((on.month, on.day) < (int(born[4:6]), int(born[6:8])))
    return f"{max(years, 0):03}Y"
