// A table whose order, search, page and selection stay when its rows change or are filtered.
// BUNDLE (the text of itables' own bundle) and VERSION are defined above; all tables of a page share one import.

function tables() {
  const place = `qrkit-itables-${VERSION}`;
  const source = () => URL.createObjectURL(new Blob([BUNDLE], { type: "text/javascript" }));
  globalThis[place] ??= import(source());
  return globalThis[place];
}

function sameColumns(one, other) {
  const rest = ({ data_json, ...options }) => JSON.stringify(options);
  return rest(one) === rest(other);
}

async function render({ model, el }) {
  const { ITable, set_or_remove_dark_class: follow } = await tables();
  if (follow) follow();
  el.classList.add("itables_anywidget", "qrkit-grid");
  const table = document.createElement("table");
  el.append(table);
  let grid = null;
  let args = null;
  let own = false;  // changes that are not made by the user

  function quietly(act) {
    own = true;
    try {
      act();
    } finally {
      own = false;
    }
  }

  function drawCaption() {
    const caption = model.get("caption");
    if (caption) table.createCaption().textContent = caption;
    else table.deleteCaption();
  }

  function applyFilter() {
    const shown = model.get("shown");
    const kept = shown === null ? null : new Set(shown);
    grid.dt.search.fixed("qrkit", kept && ((_text, _row, place) => kept.has(place)));
  }

  function select() {
    const wanted = new Set(model.get("selected_rows"));
    const now = new Set(grid.selected_rows);
    if (wanted.size === now.size && [...wanted].every((row) => now.has(row))) return;
    quietly(() => (grid.selected_rows = [...wanted]));
  }

  function selected() {
    if (own) return;
    model.set("selected_rows", grid.selected_rows);
    model.save_changes();
  }

  // A table wider than its container has a shadow on the side where it continues.
  function edge() {
    const body = el.querySelector(".dt-scroll-body");
    if (!body) return;
    const rest = body.scrollWidth - body.clientWidth;
    body.parentElement.classList.toggle("continues-left", body.scrollLeft > 1);
    body.parentElement.classList.toggle("continues-right", rest - body.scrollLeft > 1);
  }

  // A cell that is cut shows its whole text on hover.
  function explain(event) {
    const cell = event.target.closest("td");
    if (cell) cell.title = cell.scrollWidth > cell.clientWidth ? cell.textContent : "";
  }

  function build() {
    if (grid) grid.destroy();
    args = model.get("_dt_args");
    table.className = model.get("classes");
    table.setAttribute("style", model.get("_style"));
    quietly(() => (grid = new ITable(table, args)));
    drawCaption();
    grid.dt.on("select", selected);
    grid.dt.on("deselect", selected);
    applyFilter();
    select();
    grid.dt.draw();
    const body = el.querySelector(".dt-scroll-body");
    body?.addEventListener("scroll", edge);
    if (body && !args.select) body.tabIndex = 0;  // without selectable rows, arrow keys scroll the body
    grid.dt.on("draw", edge);
    edge();
  }

  // Rows that stay keep their place on the page, and the focused row keeps the focus.
  function renew() {
    const before = args;
    args = model.get("_dt_args");
    if (!sameColumns(before, args)) return build();
    const rows = JSON.parse(args.data_json);
    const old = JSON.parse(before.data_json);
    quietly(() => {
      const both = Math.min(rows.length, old.length);
      for (let place = 0; place < both; place++)
        if (JSON.stringify(rows[place]) !== JSON.stringify(old[place])) grid.dt.row(place).data(rows[place]);
      if (rows.length > both) grid.dt.rows.add(rows.slice(both));
      if (old.length > both) grid.dt.rows((place) => place >= both).remove();
      applyFilter();
      select();
      grid.dt.draw(false);
    });
  }

  function refilter() {
    applyFilter();
    grid.dt.draw("full-hold");
    if (grid.dt.page.info().start >= grid.dt.page.info().recordsDisplay) grid.dt.page("first").draw("page");
  }

  // JupyterLab's command keys (Down goes to the next cell, d d deletes one) look at the focused element itself.
  el.addEventListener("focusin", (event) => event.target.setAttribute("data-lm-suppress-shortcuts", "true"));
  el.addEventListener("mouseover", explain);
  build();
  const width = new ResizeObserver(edge);
  width.observe(el);
  const followed = { _dt_args: renew, shown: refilter, selected_rows: select, caption: drawCaption };
  for (const [name, act] of Object.entries(followed)) model.on(`change:${name}`, act);
  return () => {
    for (const [name, act] of Object.entries(followed)) model.off(`change:${name}`, act);
    width.disconnect();
    grid.destroy();
  };
}

export default { render };
