"""``python -m qrkit.cli``, which the background worker is started by."""

from __future__ import annotations

from qrkit.cli import main

if __name__ == "__main__":
    main()
