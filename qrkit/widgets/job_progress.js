// A retrieve job: headline, bar, numbers, what failed, and Cancel. All text goes in as textContent.

function make(tag, className, attributes = {}) {
  const element = document.createElement(tag);
  element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function setText(element, text) {
  // The same text set again would be read out again.
  if (element.textContent !== text) element.textContent = text;
}

function render({ model, el }) {
  const root = make("section", "qrkit-job");
  const head = make("div", "qrkit-job-head");
  const title = make("span", "qrkit-job-title");
  const headline = make("span", "qrkit-job-headline", { role: "status" });
  const cancel = make("button", "qrkit-job-cancel", { type: "button" });
  const bar = make("progress", "qrkit-job-bar", { max: "1" });
  const numbers = make("div", "qrkit-job-numbers");
  const failures = make("ul", "qrkit-job-failures");
  const alert = make("div", "qrkit-job-alert", { role: "alert" });
  cancel.textContent = "Cancel";
  head.append(title, headline, cancel);
  root.append(head, bar, numbers, failures, alert);
  el.append(root);

  function drawLabel() {
    const label = model.get("label");
    setText(title, label);
    root.setAttribute("aria-label", label);
    bar.setAttribute("aria-label", label);
    cancel.setAttribute("aria-label", `Cancel ${label.charAt(0).toLowerCase()}${label.slice(1)}`);
  }

  function drawBar() {
    const fraction = model.get("fraction");
    if (fraction === null) bar.removeAttribute("value");
    else bar.value = fraction;
  }

  function drawFailures() {
    const lines = model.get("failures");
    failures.hidden = lines.length === 0;
    failures.replaceChildren(
      ...lines.map((line) => {
        const item = document.createElement("li");
        item.textContent = line;
        return item;
      }),
    );
  }

  const drawings = {
    label: drawLabel,
    headline: () => setText(headline, model.get("headline")),
    fraction: drawBar,
    numbers: () => setText(numbers, model.get("numbers")),
    failures: drawFailures,
    can_cancel: () => (cancel.disabled = !model.get("can_cancel")),
    alert: () => setText(alert, model.get("alert")),
  };
  for (const [name, draw] of Object.entries(drawings)) {
    model.on(`change:${name}`, draw);
    draw();
  }
  cancel.addEventListener("click", () => {
    cancel.disabled = true;
    model.send({ action: "cancel" });
  });
  // JupyterLab's command keys (d d deletes the cell) look at the focused element itself.
  root.addEventListener("focusin", (event) => event.target.setAttribute("data-lm-suppress-shortcuts", "true"));

  return () => {
    for (const [name, draw] of Object.entries(drawings)) model.off(`change:${name}`, draw);
  };
}

export default { render };
