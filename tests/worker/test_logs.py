from pathlib import Path

from qrkit.worker.process import errors_file, keep_errors_small


def test_what_a_worker_has_printed_is_put_aside_under_it_once_it_has_grown(tmp_path: Path) -> None:
    keep_errors_small(tmp_path)  # there is nothing yet
    path = errors_file(tmp_path)
    with path.open("ab", buffering=0) as printing:
        printing.write(b"few")
        keep_errors_small(tmp_path)
        assert path.read_bytes() == b"few"
        printing.write(bytes(5_000_000))
        keep_errors_small(tmp_path)
        printing.write(b"more")
    assert path.read_bytes() == b"more"
    assert path.with_name("worker.err.1").stat().st_size == 5_000_003
