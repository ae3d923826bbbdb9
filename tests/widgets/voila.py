"""Voilà over a folder of notebooks, as a server of the tests."""

import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.peers.processes import ServerProcess
from tests.peers.waiting import LOOPBACK, free_port

# Voilà's own template, without its two links to a CDN: behind a firewall the page waits for them.
_TEMPLATE = """
{%- extends 'voila/templates/lab/index.html.j2' -%}
{% import "spinner.macro.html.j2" as spinner %}
{%- block notebook_css -%}
  {{ resources.include_js("static/voila-style.js") }}
  {{ spinner.css() }}
  {{ super.super() }}
{%- endblock notebook_css -%}
"""


class Voila(ServerProcess):
    """Voilà; `folder` holds the notebooks."""

    name = "voila"
    start_limit = 60.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        """Write the template."""
        template = self.folder / "share" / "voila" / "templates" / "offline"
        template.mkdir(parents=True)
        (template / "conf.json").write_text('{"base_template": "lab"}')
        (template / "index.html.j2").write_text(_TEMPLATE.strip())

    def command(self) -> Sequence[str | Path]:
        """Give the program and its arguments."""
        return [
            sys.executable,
            "-m",
            "voila",
            self.folder,
            "--no-browser",
            f"--port={self.port}",
            f"--Voila.ip={LOOPBACK}",
            "--Voila.port_retries=0",
            "--template=offline",
        ]

    def environment(self) -> Mapping[str, str]:
        """Give its environment, in which it finds the template."""
        return os.environ | {"JUPYTER_PATH": str(self.folder / "share")}

    def is_ready(self) -> bool:
        """Whether it serves."""
        try:
            with urllib.request.urlopen(f"{self.url}/voila/static/voila.js", timeout=1):  # noqa: S310 - our own server
                return True
        except OSError:
            return False
