"""Every status is classified, as PS3.7 annex C says, and none is silently a success."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.status import (
    QR_FIND_SERVICE_CLASS_STATUS,
    QR_GET_SERVICE_CLASS_STATUS,
    QR_MOVE_SERVICE_CLASS_STATUS,
    STORAGE_SERVICE_CLASS_STATUS,
    VERIFICATION_SERVICE_CLASS_STATUS,
)

from qrkit.dimse.status import SUCCESS, Category, Service, classify, failure

TABLES = {
    Service.ECHO: VERIFICATION_SERVICE_CLASS_STATUS,
    Service.FIND: QR_FIND_SERVICE_CLASS_STATUS,
    Service.GET: QR_GET_SERVICE_CLASS_STATUS,
    Service.MOVE: QR_MOVE_SERVICE_CLASS_STATUS,
    Service.STORE: STORAGE_SERVICE_CLASS_STATUS,
}
# Attribute list error and attribute value out of range are warnings in PS3.7 C.4; pynetdicom has both so as well.


@pytest.mark.parametrize("service", Service)
def test_categories_are_those_of_pynetdicom(service: Service) -> None:
    differing = {
        f"0x{code:04X}": (category, classify(service, code).category.value)
        for code, (category, _) in TABLES[service].items()
        if category.lower() != classify(service, code).category.value
    }
    assert differing == {}


@given(st.sampled_from(Service), st.integers(0, 0xFFFF))
def test_every_status_has_a_meaning_and_only_zero_is_success(service: Service, code: int) -> None:
    status = classify(service, code)
    assert status.code == code
    assert status.meaning
    assert (status.category is Category.SUCCESS) == (code == SUCCESS)


@given(st.sampled_from(Service), st.integers(1, 0xFFFF))
def test_every_failure_is_told_with_its_code_and_what_to_do(service: Service, code: int) -> None:
    error = failure(service, code, peer="PACS", comment="why")
    assert error.message.startswith(f"PACS ended {service.value} with status 0x{code:04X} (")
    assert error.message.endswith(') and the comment "why".')
    assert error.status == code
    if classify(service, code).category is Category.FAILURE and code != 0x0111:
        assert error.advice


@pytest.mark.parametrize(
    ("service", "code", "transient"),
    [
        (Service.MOVE, 0xA701, True),
        (Service.MOVE, 0xA801, False),
        (Service.FIND, 0xA700, True),
        (Service.FIND, 0xA900, False),
        (Service.GET, 0xC123, False),
        (Service.STORE, 0xA7FF, True),
        (Service.STORE, 0xA9FF, False),
    ],
)
def test_only_some_failures_are_worth_another_try(service: Service, code: int, *, transient: bool) -> None:
    assert failure(service, code, peer="PACS").transient is transient
