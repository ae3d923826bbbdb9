"""Find words in labels, messages, help, docstrings and docs that the glossary does not use.

`python -m tests.wording qrkit/store docs/faults.md` prints every finding below these paths; without a path it prints
the number of findings of each part of the project.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Kind(Enum):
    """Where a text stands."""

    DOCSTRING = "docstring"
    MESSAGE = "message"
    PROSE = "prose"


_EVERYWHERE = frozenset(Kind)
_MESSAGES = frozenset({Kind.MESSAGE})
_SHOWN = frozenset({Kind.MESSAGE, Kind.PROSE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text with its place; of a docstring it is the first paragraph."""

    place: str
    line: int
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A pattern that no text contains, and what to write instead."""

    pattern: re.Pattern[str]
    instead: str
    kinds: frozenset[Kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A text that breaks a rule."""

    text: Text
    found: str
    instead: str

    def __str__(self) -> str:
        sentence = " ".join(self.text.text.split())
        at = max(0, sentence.find(" ".join(self.found.split())) - 50)
        excerpt = sentence[at : at + 120]
        return f"{self.text.place}:{self.text.line}: '{self.found.strip()}': {self.instead}\n    … {excerpt}"


def _rule(pattern: str, instead: str, kinds: frozenset[Kind] = _EVERYWHERE) -> Rule:
    return Rule(pattern=re.compile(pattern, re.MULTILINE), instead=instead, kinds=kinds)


# Words that native readers stumble on. The list grows; a text is rewritten, not excepted.
RULES = (
    _rule(r"(?i)\b(?:tells?|told|telling)\b", "write shows, reports, returns, contains, warns"),
    _rule(r"(?i)\b(?:says?|said|saying)\b", "write shows, states, reports, returns, confirms"),
    _rule(r"(?i)\b(?:hears?|heard)\b", "write receives, gets a response"),
    _rule(
        r"(?i)\b(?:came|coming|ha[sd] come|have come|comes? (?:out|in|here|of|back|with|without|late|later|too))\b",
        "data arrives, is returned, is received",
    ),
    _rule(r"(?i)\b(?:go|goes|going|went|gone) on\b", "write continues, resumes, keeps"),
    _rule(r"(?i)\bmend(?:s|ed|ing)?\b", "write repairs"),
    _rule(r"(?i)\b(?:is|was|are|were|be|been) meant\b", "write confirmed, intended, or name the thing"),
    _rule(r"(?i)\b(?:become|becomes|became) of\b", "write the outcome, the result"),
    _rule(r"(?i)\b(?:rests|rested|resting)\b", "write waits, is paused"),
    _rule(r"(?i)\b(?:lets|letting)\b|\blet (?:it|a|an|the|them)\b", "write allows, or the verb itself"),
    _rule(r"(?i)\bso many\b", "write the number, or 'this many'"),
    _rule(r"(?i)\bas far as\b", "write 'where', 'if', or 'up to'"),
    _rule(r"(?i)\bbut for\b", "write 'except'"),
    _rule(r"(?i)\b(?:whoever|somebody|nobody)\b", "name who: you, a user, no one"),
    _rule(r"(?i)\bthose there are\b", "write 'available' or 'existing'"),
    _rule(r"(?i)\bpart(?:ed|ing)\b", "write separated, split"),
    _rule(r"(?i)\bbeside\b", "write 'next to' of a place, 'in addition to' of anything else"),
    _rule(r"(?i)\bshall\b", "write must, should, will"),
    _rule(
        r"(?<!there )(?<!There )\b(?:is|are|was|were) no "
        r"(?!(?:longer|more|less|one|larger|smaller|better|fewer|later|earlier)\b)[a-z]+",
        "write 'is not a'",
    ),
    _rule(r"(?:^|[.;!?:] )Of [a-z]", "begin the sentence with its subject"),
    _rule(r"^\s*What\b[^?]*$", "begin with the noun: no title 'What … is …'"),
    _rule(r"(?i)\bunless told\b", "name the option"),
    _rule(r"(?i)\b(?:drill(?:s|ed|ing)?|knock(?:s|ed|ing)?|nameless|glance|verdicts?|salvaged?|relist\w*)\b",
          "a private word: hierarchy, retry, missing modality, overview, outcome, repair"),
    _rule(r"(?i)\baside\b", "write 'quarantine'"),
    _rule(r"(?i)\bput(?:s|ting)? off\b", "write 'postpone'"),
    _rule(r"(?i)\b(?:in hand|at hand|of late|lest|ought|whence|hitherto)\b", "use a plainer word"),
    _rule(r"(?i)\bfetch\w*", "write retrieve (DICOM) or read (rows)", _SHOWN),
    _rule(r"(?i)\b(?:every|an|the|each|its|all|these|this|whose|kept|earlier|\d+) answers?\b",
          "write result (of a query), response (on the wire)", _SHOWN),
    _rule(r"(?i)\b(?:is|are|not|already|was) here\b", "write 'stored', 'in this workspace'", _SHOWN),
    _rule(r"(?i)\bchosen?\b|\bchoose (?:all|none)\b", "write selected, Select all, Clear selection", _MESSAGES),
    _rule(r"(?i)\bnot proven complete\b", "write 'may be incomplete'", _SHOWN),
    _rule(r"(?i)\bkinds? of (?:study|studies|dose)\b", "write modality, dose group", _SHOWN),
    _rule(r"(?i)\btry again what\b", "write 'Retry failed'", _SHOWN),
    _rule(r"(?i)\bask(?:s|ed)? again\b", "write 'try again', 'query again'", _SHOWN),
    _rule(r"(?i)\bwithout blanks\b|\bblanks around\b", "write 'leading or trailing spaces'", _SHOWN),
)  # fmt: skip

_SQL = re.compile(
    r"(?is)\s*(?:select\b.*\bfrom|insert into|update\b.*\bset|delete from|create (?:table|index|view)|with\b.*\bas)\b"
)


# Values of tables and JSON that programs read; the surfaces show other words for them.
_CONTRACT = {"to fetch"}


def findings(text: Text) -> list[Finding]:
    """Return every rule that a text breaks, with the words that break it."""
    return [
        Finding(text=text, found=match.group(), instead=rule.instead)
        for rule in RULES
        if text.kind in rule.kinds
        for match in rule.pattern.finditer(text.text)
    ]


def texts_of_code(source: str, place: str, first_line: int = 0) -> Iterator[Text]:
    """Yield the docstrings' first paragraphs and the literals that people read, SQL and identifiers left out."""
    tree = ast.parse(source)
    docstrings = dict(_docstrings(tree))
    pieces: set[ast.AST] = {
        part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    pieces |= {name for node in tree.body if _lists_names(node) for name in ast.walk(node)}
    for node in ast.walk(tree):
        line = first_line + getattr(node, "lineno", 0)
        if node in docstrings:
            summary = docstrings[node].strip().split("\n\n")[0]
            yield Text(place=place, line=line, kind=Kind.DOCSTRING, text=summary)
        elif node not in pieces and (literal := _literal(node)) is not None and _is_read(literal):
            yield Text(place=place, line=line, kind=Kind.MESSAGE, text=literal)


def texts_of_markdown(source: str, place: str, first_line: int = 0) -> Iterator[Text]:
    """Yield the paragraphs of a page, without code, comments, addresses and front matter."""
    prose = re.sub(r"(?ms)\A---\n.*?\n---\n|<!--.*?-->|^( *)```.*?^ *```", _blank, source)
    prose = re.sub(r"`[^`\n]+`", "code", prose)
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    line = first_line + 1
    for paragraph in re.split(r"(\n\s*\n|\n(?=[-|#*] ?))", prose):
        if paragraph.strip():
            yield Text(place=place, line=line, kind=Kind.PROSE, text=paragraph.strip())
        line += paragraph.count("\n")


def texts_of(path: Path) -> Iterator[Text]:
    """Yield what a reader sees of one file: a module, a page, or a notebook."""
    place = path.relative_to(ROOT).as_posix()
    source = path.read_text("utf-8")
    if path.suffix == ".py":
        yield from texts_of_code(source, place)
    elif path.suffix == ".md":
        yield from texts_of_markdown(source, place)
    elif path.suffix == ".ipynb":
        for number, cell in enumerate(json.loads(source)["cells"], 1):
            content = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                yield from texts_of_markdown(content, f"{place}[{number}]")
            elif not content.lstrip().startswith("%%"):
                code = re.sub(r"(?m)^\s*[%!].*$", "", content)
                yield from texts_of_code(code, f"{place}[{number}]")


def files_below(path: Path) -> list[Path]:
    """Return the files of a folder, or the file itself, that contain text for readers."""
    if path.is_file():
        return [path]
    return sorted(found for found in path.rglob("*") if found.suffix in {".py", ".md", ".ipynb"})


def parts() -> dict[str, list[Path]]:
    """Return the parts of the project that are held one by one: folders of the package, pages, notebooks."""
    package = ROOT / "qrkit"
    folders = sorted(found for found in package.iterdir() if (found / "__init__.py").is_file())
    result = {f"qrkit/{folder.name}": files_below(folder) for folder in folders}
    result["qrkit/*.py"] = sorted(package.glob("*.py"))
    pages = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    result |= {page.relative_to(ROOT).as_posix(): [page] for page in pages}
    result |= {folder: files_below(ROOT / folder) for folder in ("benchmarks", "dashboards", "notebooks")}
    return result


def findings_in(files: list[Path]) -> list[Finding]:
    """Return the findings of some files."""
    return [finding for path in files for text in texts_of(path) for finding in findings(text)]


def _blank(match: re.Match[str]) -> str:
    """Return spaces for what is left out, with its line ends, which keep the line numbers."""
    return re.sub(r"[^\n]", " ", match.group())


def _docstrings(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            match node.body[0]:
                case ast.Expr(value=ast.Constant(value=str(text)) as constant):
                    yield constant, text


def _lists_names(node: ast.AST) -> bool:
    """Return whether a statement is `__all__ = ...`."""
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def _literal(node: ast.AST) -> str | None:
    """Return a literal's text, of an f-string with `{}` for each value."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_literal(part) or "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_read(value: str) -> bool:
    """Return whether a literal is for people: a sentence or a label, not an identifier, not SQL."""
    return value not in _CONTRACT and (" " in value.strip() or value[:1].isupper()) and not _SQL.match(value)


def main(arguments: list[str]) -> int:
    """Print the findings below the paths, or their number for each part of the project."""
    if not arguments:
        for part, files in parts().items():
            print(f"{len(findings_in(files)):5}  {part}")  # noqa: T201 # its output
        return 0
    found = [finding for argument in arguments for finding in findings_in(files_below((ROOT / argument).resolve()))]
    for finding in found:
        print(finding)  # noqa: T201 # its output
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
