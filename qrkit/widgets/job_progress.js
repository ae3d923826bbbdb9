// A retrieve job: headline, bar, numbers, failures and actions. All text is set as textContent.

function make(tag, className, attributes = {}) {
  const element = document.createElement(tag);
  element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function setText(element, text) {
  // Screen readers would announce the same text again.
  if (element.textContent !== text) element.textContent = text;
}

function render({ model, el }) {
  const root = make("section", "qrkit-job", { tabindex: "-1" });
  const head = make("div", "qrkit-job-head");
  const title = make("span", "qrkit-job-title");
  const headline = make("span", "qrkit-job-headline", { role: "status" });
  const acts = make("span", "qrkit-job-acts");
  const bar = make("progress", "qrkit-job-bar", { max: "1" });
  const numbers = make("div", "qrkit-job-numbers");
  const note = make("div", "qrkit-job-note");
  const failures = make("ul", "qrkit-job-failures");
  const alert = make("div", "qrkit-job-alert", { role: "alert" });
  head.append(title, headline, acts);
  root.append(head, bar, numbers, note, failures, alert);
  el.append(root);

  function drawLabel() {
    const label = model.get("label");
    setText(title, label);
    root.setAttribute("aria-label", label);
    bar.setAttribute("aria-label", label);
    for (const button of acts.children) nameButton(button);
  }

  function nameButton(button) {
    const label = model.get("label");
    const joint = ["pause", "cancel"].includes(button.dataset.act) ? " " : ": ";
    button.setAttribute("aria-label", `${button.textContent}${joint}${label.charAt(0).toLowerCase()}${label.slice(1)}`);
  }

  // A button that stays keeps the focus; if it disappears, the first button gets it, or else the box.
  function drawActs() {
    const wanted = model.get("acts");
    const had = acts.contains(document.activeElement) || document.activeElement === root;
    const there = new Map([...acts.children].map((button) => [button.dataset.act, button]));
    acts.replaceChildren(
      ...wanted.map(([act, text]) => {
        const button = there.get(act) || make("button", "qrkit-job-act", { type: "button", "data-act": act });
        button.textContent = text;
        button.disabled = false;
        nameButton(button);
        return button;
      }),
    );
    if (had) (acts.firstElementChild || root).focus();
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
    note: () => setText(note, model.get("note")),
    acts: drawActs,
    alert: () => setText(alert, model.get("alert")),
  };
  for (const [name, draw] of Object.entries(drawings)) {
    model.on(`change:${name}`, draw);
    draw();
  }
  acts.addEventListener("click", (event) => {
    const act = event.target.dataset.act;
    if (act) model.send({ action: act });
  });
  // JupyterLab's command keys (d d deletes the cell) look at the focused element itself.
  root.addEventListener("focusin", (event) => event.target.setAttribute("data-lm-suppress-shortcuts", "true"));

  return () => {
    for (const [name, draw] of Object.entries(drawings)) model.off(`change:${name}`, draw);
  };
}

export default { render };
