"""Hooks of mkdocs: add the pages made from code and notebooks, and find what a page would load from elsewhere."""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # mkdocs loads this file by its path

from docs.hooks.reference import PAGES  # noqa: E402

_log = logging.getLogger("mkdocs.plugins.qrkit")
_LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?https?://[^\" >]+|<link\b[^>]*\bhref=\"?https?://[^\" >]+"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference pages and the notebooks."""
    for name, content in PAGES.items():
        files.append(File.generated(config, name, content=content()))
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = f"tutorials/{notebook.stem}.md"
        files.append(File.generated(config, page, content=notebook_page(json.loads(notebook.read_text("utf-8")))))
    return files


def on_post_build(config: MkDocsConfig) -> None:
    """Warn, and so fail a strict build, where a page loads something from another machine."""
    for page in sorted(Path(config.site_dir).rglob("*.html")):
        for found in _LOADED.findall(page.read_text("utf-8")):
            if 'rel="canonical"' not in found:
                _log.warning("%s loads from elsewhere: %s", page.name, found)


def notebook_page(notebook: dict[str, Any]) -> str:
    """Return a notebook without its outputs as a page."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        magic = re.match(r"%%(\w+)", source)
        language = "sql" if magic and magic.group(1) == "qrsql" else "python"
        parts.append(source if cell["cell_type"] == "markdown" else f"```{language}\n{source}\n```")
    return "\n\n".join(parts)
