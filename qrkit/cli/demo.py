"""``qrkit demo``: a simulated PACS, a query, a retrieve, tables and a chart, without a network or a real PACS."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import date, timedelta
from pathlib import Path
from shlex import quote
from threading import Event
from typing import Annotated

import pandas as pd
import tomli_w
import typer
from rich.console import Console

import qrkit
from qrkit.cli import INTERRUPTED, NOT_COMPLETE
from qrkit.cli.dashboard import run
from qrkit.cli.options import Format, loaded
from qrkit.cli.output import print_frame, say
from qrkit.cli.retrieve import exit_for, follow
from qrkit.dashboard.options import ServeOptions
from qrkit.errors import InputError, QrkitError
from qrkit.query import Coverage
from qrkit.report.charts import studies_per_day, write_chart
from qrkit.settings import FILE_NAME
from qrkit.simulator import Quirks, Simulator, small_hospital
from qrkit.tables import modality_label
from qrkit.words import step_label
from qrkit.workspace import Workspace

NODE = "demo"
_DAYS = 60
_STUDIES = 312
_RECENT_DAYS = 14
_SHOWN = ["StudyDate", "StudyTime", "ModalitiesInStudy", "StudyDescription", "AccessionNumber", "StationName"]
_SQL = "SELECT Modality, count(*) AS files, sum(size) AS bytes FROM instances GROUP BY ALL ORDER BY ALL"
_AE_TITLE = "QRKIT"

console = Console(highlight=False)

Folder = Annotated[Path, typer.Option("--workspace", help="Folder of the demo workspace; it is kept.")]
QuirkOption = Annotated[
    list[str] | None, typer.Option("--quirk", help="Make the PACS misbehave, such as cap=50. Can be repeated.")
]


def demo(
    *,
    workspace: Folder = Path("qrkit-demo"),
    headless: Annotated[bool, typer.Option("--headless", help="Exit after the retrieve.")] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep the demo PACS running until Ctrl-C, without the dashboard.")
    ] = False,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
    seed: Annotated[
        int, typer.Option(help="Number of the simulated hospital; the same number gives the same data.")
    ] = 1,
    quirk: QuirkOption = None,
) -> None:
    """Try qrkit on a simulated hospital. Needs no network and no PACS."""
    stays = serve or not headless
    folder = workspace.absolute()
    _settle_in(folder)
    with ExitStack() as stack:
        opened = stack.enter_context(qrkit.open(folder))
        loaded()
        pacs = stack.enter_context(_hospital(opened, seed, quirk or []))
        _add_node(opened, pacs)
        console.print(f"[bold]A hospital in a box[/] answers as {pacs.ae_title} on 127.0.0.1:{pacs.port}.\n")
        _step(f"qrkit echo {NODE}")
        print_frame(opened.echo(NODE)[["node", "ok", "association_ms", "round_trip_ms"]], Format.TABLE)
        tour = _Tour(opened)
        tour.take(_query, _retrieve_dose, _retrieve_study, _tables)
        _what_next(folder, pacs if stays else None)
        if serve:
            with suppress(KeyboardInterrupt):
                console.print("\nThe hospital runs until Ctrl-C.")
                Event().wait()
            console.print("Stopped.")
        elif not headless:
            run(opened, ServeOptions(port=0, open_browser=browser))
            console.print("Stopped.")
        if tour.status:
            raise typer.Exit(tour.status)


class _Tour:
    """The steps of the demo; one that fails, or is not complete, ends none of the others."""

    def __init__(self, opened: Workspace) -> None:
        self.opened = opened
        self.studies: pd.DataFrame | None = None  # the result of the query
        self.status = 0  # the exit status of the first step that was not complete

    def take(self, *steps: Callable[[_Tour], None]) -> None:
        """Take some steps."""
        for step in steps:
            try:
                step(self)
            except typer.Exit as end:
                if end.exit_code == INTERRUPTED:
                    raise
                self.status = self.status or end.exit_code
            except QrkitError as error:
                say(str(error))
                self.status = self.status or 1
            console.print()


def _settle_in(folder: Path) -> None:
    """Make the demo's workspace: a port of its own, so that it disturbs no other, and a worker that soon stops."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / FILE_NAME
    if not settings.exists():
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        values = {"ae_title": _AE_TITLE, "host": "127.0.0.1", "port": port, "worker_idle_exit": 5}
        settings.write_text(tomli_w.dumps(values), encoding="utf-8")


def _hospital(opened: Workspace, seed: int, quirks: list[str]) -> Simulator:
    settings = opened.settings
    try:
        behaviour = Quirks.from_mapping(dict(text.partition("=")[::2] for text in quirks))
    except ValueError as error:
        reason = f"{str(error)[:1].upper()}{str(error)[1:]}"
        raise InputError(reason if reason.endswith(("?", ".")) else f"{reason}.") from error
    return Simulator(
        small_hospital(seed, until=date.today(), days=_DAYS, studies=_STUDIES),
        quirks=behaviour,
        destinations={settings.ae_title: ("127.0.0.1", settings.port)},
    )


def _add_node(opened: Workspace, pacs: Simulator) -> None:
    address = {"host": "127.0.0.1", "port": pacs.port, "ae_title": pacs.ae_title}
    if NODE in opened.nodes:
        opened.nodes.edit(NODE, **address)
    else:
        opened.nodes.add(NODE, **address, description="the hospital in a box of qrkit demo")


def _query(tour: _Tour) -> None:
    first = date.today() - timedelta(days=_DAYS)
    _step(f"qrkit find {NODE} --from {first} --description-exclude imported")
    studies = tour.opened.find(NODE, date_from=first, description_exclude="imported")
    tour.studies = studies
    print_frame(studies[_SHOWN].head(8), Format.TABLE)
    coverage = Coverage.from_json(studies.attrs["qrkit"]["coverage"])
    console.print(f"[bold]{len(studies)} studies found[/], {coverage.verdict}. The first 8 are shown.")
    if not coverage.is_complete:
        raise typer.Exit(NOT_COMPLETE)


def _retrieve_dose(tour: _Tour) -> None:
    """Plan for the dose of the last days and retrieve it by C-GET."""
    opened = tour.opened
    first = date.today() - timedelta(days=_RECENT_DAYS)
    _step(f"qrkit plan {NODE} --dose CT,MG,FL --from {first} --description-exclude imported")
    plan = opened.plan(NODE, "CT,MG,FL", date_from=first, description_exclude="imported")
    print_frame(plan.steps.assign(step=plan.steps["step"].map(step_label)), Format.TABLE)
    told = (
        plan.studies[plan.studies["keep"]].groupby(["group", "rule"], as_index=False).agg(objects=("objects", "sum"))
    )
    print_frame(told, Format.TABLE)
    console.print(f"[bold]{plan.cost_in_words}[/] carry the dose of {plan.funnel[-1].studies} studies.")
    for note in plan.notes:
        console.print(note, markup=False)
    for why in plan.coverage.why:
        console.print(f"May be incomplete: {why}.", markup=False)
    console.print()
    if plan.requests():
        _step(f"qrkit retrieve {NODE} --plan {plan.plan_id[:8]}… --method get")
        exit_for(follow(opened.retrieve(plan, method="get")))
    if not plan.coverage.is_complete:
        raise typer.Exit(NOT_COMPLETE)


def _retrieve_study(tour: _Tour) -> None:
    """Retrieve one whole study by C-MOVE."""
    studies = tour.studies
    if studies is None:
        return
    is_ct = studies["ModalitiesInStudy"].map(modality_label) == "CT"
    rows = studies[is_ct].tail(1)
    if len(rows):
        _step(f"qrkit retrieve {NODE} --from-query {rows.attrs['qrkit']['query_id'][:8]}… --method move")
        exit_for(follow(tour.opened.retrieve(rows, method="move")))


def _tables(tour: _Tour) -> None:
    opened = tour.opened
    _step(f'qrkit sql "{_SQL}"')
    print_frame(opened.sql(_SQL), Format.TABLE)
    console.print(f"[bold]{len(opened.files)} files stored[/] in {opened.files.folder}")
    if tour.studies is not None:
        chart = write_chart(studies_per_day(tour.studies), opened.settings.workspace / "studies_per_day.html")
        console.print(f"Chart: {chart}")


def _what_next(folder: Path, pacs: Simulator | None) -> None:
    where = f"--workspace {quote(str(folder))}"
    told = ["[bold]Try next[/]", f"  qrkit queries list {where}", f"  qrkit instances list --modality SR {where}"]
    if pacs is None:
        again = f"  qrkit demo --serve {where}"
        told.append(f"{again}   [dim]keeps the hospital running, so that this works:[/]")
    told.append(f"  qrkit find {NODE} --modality CT --description-include chest {where}")
    told.append("  qrkit nodes add pacs --host 10.1.2.3 --port 104 --ae-title MAINPACS   [dim]your own[/]")
    for line in told:
        console.print(line, soft_wrap=True)  # a command that is broken into lines cannot be copied


def _step(command: str) -> None:
    console.print(f"[dim]$ {command}[/]", soft_wrap=True)
