// The head of a dashboard: navigation without a new kernel, the logged-in user, and the Log out button.
function render({ model, el }) {
  const nav = document.createElement("nav");
  nav.className = "qrkit-nav";
  nav.setAttribute("aria-label", "Pages");
  const served = document.getElementById("jupyter-config-data") && document.body.dataset.voila;
  const base = served ? JSON.parse(document.getElementById("jupyter-config-data").textContent).baseUrl : "";
  const brand = document.createElement("span");
  brand.className = "qrkit-brand";
  brand.textContent = "qrkit";
  nav.append(brand);
  const links = new Map();
  for (const [name, title] of model.get("pages")) {
    const link = document.createElement("a");
    link.textContent = title;
    link.href = served ? `${base}voila/render/${name}.ipynb` : "#";
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      if (served) history.pushState({ page: name }, "", link.href);
      model.set("page", name);
      model.save_changes();
    });
    links.set(name, link);
    nav.append(link);
  }
  const who = document.createElement("span");
  who.className = "qrkit-who";
  who.append(model.get("who"));
  nav.append(who);
  if (served && model.get("can_log_out")) {
    const form = document.createElement("form");
    form.method = "post";
    form.action = `${base}logout`;
    const token = document.createElement("input");
    token.type = "hidden";
    token.name = "_xsrf";
    token.value = (document.cookie.match(/(?:^|; )_xsrf=([^;]*)/) || ["", ""])[1];
    const button = document.createElement("button");
    button.textContent = "Log out";
    form.append(token, button);
    who.append(form);
  }
  el.append(nav);
  function draw() {
    for (const [name, link] of links) {
      if (name === model.get("page")) {
        link.setAttribute("aria-current", "page");
        if (served) document.title = `${link.textContent} · qrkit`;
      } else link.removeAttribute("aria-current");
    }
  }
  const back = () => {
    const name = (location.pathname.match(/(\w+)\.ipynb$/) || [])[1];
    if (links.has(name)) { model.set("page", name); model.save_changes(); }
  };
  if (served) addEventListener("popstate", back);
  // JupyterLab's command keys (d d deletes the cell) look at the focused element itself.
  const guard = (event) => {
    if (event.target.closest && event.target.closest(".qrkit-page")) event.target.setAttribute("data-lm-suppress-shortcuts", "true");
  };
  document.addEventListener("focusin", guard);
  // A heading shows the DICOM keyword of its column on hover and on focus.
  const explain = (event) => {
    const head = event.target.closest && event.target.closest(".qrkit-page thead th");
    if (!head || head.title) return;
    const words = head.textContent.trim();
    for (const entry of document.querySelectorAll(".qrkit-legend span"))
      if (entry.dataset.heading === words) head.title = entry.dataset.keyword;
  };
  document.addEventListener("mouseover", explain);
  document.addEventListener("focusin", explain);
  model.on("change:page", draw);
  draw();
  return () => { model.off("change:page", draw); removeEventListener("popstate", back); document.removeEventListener("focusin", guard);
    document.removeEventListener("mouseover", explain); document.removeEventListener("focusin", explain); };
}
export default { render };
