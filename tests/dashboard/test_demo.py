import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.dashboard.served import Caller
from tests.peers.waiting import wait_until
from tests.workspace.opened import end_workers


def test_the_demo_ends_with_its_dashboard_until_it_is_interrupted(tmp_path: Path) -> None:
    folder, log = tmp_path / "demo", tmp_path / "demo.log"
    command = [sys.executable, "-m", "qrkit.cli", "demo", "--no-browser", "--workspace", str(folder)]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as demo:
        try:
            wait_until(lambda: "/enter/" in log.read_text() or demo.poll() is not None, 120, what="the demo serves")
            found = re.search(r"(http://127\.0\.0\.1:\d+)(/enter/[\w-]+)", log.read_text())
            assert found is not None, log.read_text()
            answer = Caller(found[1]).get(found[2])
            assert answer.status == 200
            assert answer.path == "/voila/render/start.ipynb"
            demo.send_signal(signal.SIGINT)
            assert demo.wait(60) == 0
        finally:
            demo.kill()
            end_workers(folder)
    assert "Traceback" not in log.read_text(), log.read_text()
    assert log.read_text().rstrip().endswith("Stopped.")
