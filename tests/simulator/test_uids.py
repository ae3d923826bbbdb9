"""UIDs that lead back to their study."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from qrkit.simulator.facts import UIDPlan

studies = st.integers(0, (1 << 32) - 1)
series = st.integers(0, (1 << 10) - 1)
instances = st.integers(0, (1 << 20) - 1)


@pytest.mark.parametrize("root", ["2.25", "1.2.826.0.1.3680043.8.498"])
@given(study=studies, one=series, instance=instances)
def test_every_uid_is_valid_and_leads_back_to_its_study(root: str, study: int, one: int, instance: int) -> None:
    plan = UIDPlan(seed=7, root=root)
    uid = plan.uid(study, one, instance)
    assert UID(uid).is_valid
    assert plan.study_number(uid) == study


@given(study=studies, one=series, instance=instances)
def test_a_uid_under_2_25_is_a_uuid_of_version_8(study: int, one: int, instance: int) -> None:
    value = uuid.UUID(int=int(UIDPlan(seed=3).uid(study, one, instance).removeprefix("2.25.")))
    assert value.version == 8
    assert value.variant == uuid.RFC_4122


def test_no_two_places_share_a_uid() -> None:
    plan = UIDPlan(seed=1)
    places = [(a, b, c) for a in range(20) for b in range(5) for c in range(20)]
    assert len({plan.uid(*place) for place in places}) == len(places)


@pytest.mark.parametrize("uid", ["", "1.2.3", "2.25.", "2.25.12x", "2.25.1", "2.25." + "9" * 60])
def test_a_foreign_uid_belongs_to_no_study(uid: str) -> None:
    assert UIDPlan(seed=1).study_number(uid) is None


def test_the_uid_of_another_seed_belongs_to_no_study() -> None:
    assert UIDPlan(seed=1).study_number(UIDPlan(seed=2).uid(5)) is None
