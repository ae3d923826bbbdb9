from qrkit.words import listed, local_time, volume


def test_sizes_are_read_without_counting_digits() -> None:
    assert [volume(size) for size in (1, 999, 1000, 999_999, 2_500_000_000)] == [
        "1 byte",
        "999 bytes",
        "1 kB",
        "1000 kB",
        "2.50 GB",
    ]


def test_a_time_that_is_not_there_is_nothing() -> None:
    assert local_time(None) == local_time("") == ""
    assert local_time("2026-01-31T10:00:00.000000+00:00").startswith("2026-01-3")


def test_names_are_listed_as_in_a_sentence() -> None:
    assert listed(["CT"]) == "CT"
    assert listed(["CT", "MR", "PT"], last="or") == "CT, MR or PT"
