"""Plugins of all tests, in `tests`, `notebooks`, README and `docs`."""

pytest_plugins = ["tests.peers.fixtures", "tests.markers", "tests.documents"]
