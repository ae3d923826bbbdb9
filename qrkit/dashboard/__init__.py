"""The dashboard server: Voilà with a login, one kernel per visitor, and nothing from other machines."""

from __future__ import annotations
