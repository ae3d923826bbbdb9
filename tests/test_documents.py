"""README and docs: links lead somewhere, names exist, and the version is the one of the package."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from qrkit.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from qrkit.version import __version__

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# Made when the site is built, by docs/hooks/site.py.
GENERATED = re.compile(
    r"docs/(tutorials/|reference/(command_line|settings|tables|errors)\.md|howto/troubleshooting\.md)"
)


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    files = [(page.parent / target).resolve() for target in targets]
    lost = [file for file in files if not file.exists() and not GENERATED.match(file.relative_to(ROOT).as_posix())]
    assert not lost


def test_the_conformance_statement_has_the_implementation_of_the_package() -> None:
    page = (ROOT / "docs" / "reference" / "conformance.md").read_text("utf-8")
    assert IMPLEMENTATION_CLASS_UID in page
    assert f"`{IMPLEMENTATION_VERSION_NAME}`" in page


def test_the_changelog_has_a_section_for_the_version() -> None:
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_picture_of_the_architecture_names_modules_that_exist() -> None:
    picture = (ROOT / "docs" / "explanation" / "walks.svg").read_text("utf-8")
    modules = re.findall(r'font-weight="600">([a-z_]+\.[a-z_.]+[^<]*)</text>', picture)
    assert len(modules) > 10
    assert [name for name in modules if find_spec(f"qrkit.{name}") is None] == []


@pytest.mark.slow
def test_the_reference_pages_have_what_the_code_has() -> None:
    from docs.hooks.reference import PAGES as GENERATED_PAGES

    pages = {name: make() for name, make in GENERATED_PAGES.items()}
    assert "`--modality`" in pages["reference/command_line.md"]
    assert "## qrkit nodes add" in pages["reference/command_line.md"]
    assert "`QRKIT_AE_TITLE`" in pages["reference/settings.md"]
    assert "`StudyInstanceUID`" in pages["reference/tables.md"]
    assert "`0xA801`" in pages["reference/errors.md"]
    assert "Check the port, and ask the PACS team whether" in pages["howto/troubleshooting.md"]
