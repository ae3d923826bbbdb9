"""Retrieves through the worker, against every misbehaviour that the simulator knows."""
