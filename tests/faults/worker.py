"""``qrkit serve`` whose heart beats ten times as fast, so that what hangs on it fits into a round of faults."""

import faulthandler
import signal
import sys

from qrkit.worker import health

health.DEAD_AFTER = 5.0  # before anybody takes it from there

from qrkit.cli import main  # noqa: E402
from qrkit.retrieve import watcher  # noqa: E402
from qrkit.worker import process, service  # noqa: E402

if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)  # as `tests.faults.stage.SAY`
    service.HEARTBEAT = 0.5
    service.SILENT = 40
    process.LEAVES_WITHIN = 15.0
    watcher.SLICE = 1.0
    sys.argv = ["qrkit", "serve"]
    main()
