// A row of buttons, each of which opens something below; pressed again, it closes.
function render({ model, el }) {
  const row = document.createElement("div");
  row.className = "qrkit-disclosure";
  row.setAttribute("role", "group");
  el.append(row);

  function draw() {
    row.setAttribute("aria-label", model.get("label"));
    const labels = model.get("labels");
    while (row.children.length > labels.length) row.lastChild.remove();
    labels.forEach((text, place) => {
      let button = row.children[place];
      if (!button) {
        button = document.createElement("button");
        button.type = "button";
        button.addEventListener("click", () => {
          model.set("opened", model.get("opened") === place ? -1 : place);
          model.save_changes();
        });
        row.append(button);
      }
      if (button.textContent !== text) button.textContent = text;
      button.setAttribute("aria-expanded", String(model.get("opened") === place));
    });
  }

  // A screen reader would read a chart as many loose texts; it gets one sentence instead.
  function describe() {
    const description = model.get("description");
    const box = el.closest(".qrkit-charts");
    for (const plot of box ? box.querySelectorAll(".js-plotly-plot") : [])
      for (const [place, image] of plot.querySelectorAll(".main-svg").entries()) {
        // A responsive chart takes the height of its container, which would be zero.
        if (!place) plot.style.minHeight = `${image.getAttribute("height")}px`;
        if (place) image.setAttribute("aria-hidden", "true");
        else if (image.getAttribute("aria-label") !== description) {
          image.setAttribute("role", "img");
          image.setAttribute("aria-label", description);
        }
      }
  }

  const watch = new MutationObserver(describe);
  const begin = setTimeout(() => {
    const box = el.closest(".qrkit-charts");
    if (box) watch.observe(box, { childList: true, subtree: true });
    describe();
  });
  // JupyterLab's command keys (d d deletes the cell) look at the focused element itself.
  row.addEventListener("focusin", (event) => event.target.setAttribute("data-lm-suppress-shortcuts", "true"));
  for (const name of ["label", "labels", "opened"]) model.on(`change:${name}`, draw);
  model.on("change:description", describe);
  draw();
  return () => {
    clearTimeout(begin);
    watch.disconnect();
    for (const name of ["label", "labels", "opened"]) model.off(`change:${name}`, draw);
    model.off("change:description", describe);
  };
}
export default { render };
