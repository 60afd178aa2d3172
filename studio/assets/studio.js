// Language, theme, keyboard, addresses: what Gradio has no setting for.
(() => {
  const zh = (navigator.language || "en").toLowerCase().startsWith("zh");
  document.documentElement.dataset.lang = zh ? "zh" : "en";
  document.documentElement.lang = zh ? "zh" : "en";
  const word = (key) => (window.emitKeys[zh ? "zh" : "en"] || {})[key] || key;

  // ---- theme: the person's choice, else the system's
  const applyTheme = () => {
    const theme = localStorage.getItem("emit-theme");
    if (theme && document.body) {
      const dark = theme === "dark";
      if (document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
    }
  };
  const setTheme = (theme) => {
    if (theme) localStorage.setItem("emit-theme", theme);
    else localStorage.removeItem("emit-theme");
    if (!theme) document.body.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches);
    applyTheme();
  };

  // ---- addresses: emit.url({sample: "x"}) changes the address without loading the page; null removes a value
  const url = (values, push = false) => {
    const next = new URL(location.href);
    for (const [key, value] of Object.entries(values)) {
      if (value === null || value === undefined || value === "" ) next.searchParams.delete(key);
      else next.searchParams.set(key, value);
    }
    if (next.href !== location.href) history[push ? "pushState" : "replaceState"](null, "", next);
  };
  const download = (name, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const setName = (name) => {
    document.cookie = "emit_name=" + encodeURIComponent(name) + "; path=/; max-age=31536000; samesite=strict";
  };

  // ---- unsaved words outlive the tab: kept under the text's key until the server has them
  const field = () => document.querySelector("#describe-text textarea");
  const keyOf = () => document.querySelector("[data-draft]")?.dataset.draft;
  const slot = (key) => "emit-unsaved " + key;
  document.addEventListener("input", (event) => {
    if (event.target === field() && keyOf()) localStorage.setItem(slot(keyOf()), event.target.value);
  });
  const recover = () => {
    const [kept, area] = [localStorage.getItem(slot(keyOf())), field()];
    if (kept === null || !area || area.value === kept) return;
    area.value = kept;
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };

  // ---- a page cannot be touched before its first answers are there: they would overwrite what was typed
  const main = () => document.querySelector("#main");
  let [answers, ready] = [0, false];
  const open = () => {
    if (ready) return;
    ready = true;
    recover();
    main().inert = false;
    main().dataset.ready = "";
  };
  const arrived = (all) => { if (++answers >= all) requestAnimationFrame(open); };
  const shut = () => {
    if (ready || !main() || main().inert) return;
    main().inert = true;
    setTimeout(open, 20000); // an answer that never comes must not shut the page for good
  };

  // ---- while another text is on its way nothing can be typed into the one that leaves, and nothing saved twice;
  // a click on anything else waits until it is there
  let [held, waiting, patience] = [null, null, 0];
  const describing = () => document.querySelector("#describe");
  const hold = (values) => {
    held = keyOf();
    for (const name of ["aria-busy", "aria-disabled"]) describing().setAttribute(name, "true");
    field().readOnly = true;
    patience = setTimeout(() => release(false), 20000);
    return values;
  };
  const release = (answered) => requestAnimationFrame(() => {
    clearTimeout(patience);
    for (const name of ["aria-busy", "aria-disabled"]) describing().removeAttribute(name);
    field().readOnly = false;
    if (answered) localStorage.removeItem(slot(held)); // the server has the words, or they were taken back
    const [control, pick] = [waiting, waiting?.dataset.pick];
    waiting = null;
    (control?.isConnected || !pick ? control : document.querySelector(`#describe [data-pick="${CSS.escape(pick)}"]`))?.click();
  });
  document.addEventListener("click", (event) => {
    const control = event.target.closest?.("#describe[aria-busy=true]") && event.target.closest("button, [data-pick]");
    if (!control) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!control.matches(".key-save, #approve, #reject")) waiting = control;
  }, true);

  window.emit = { url, setTheme, setName, word, download, arrived, hold, release };

  // ---- keyboard: a key clicks the first visible, enabled button of its class
  const BARE = { j: "key-next", k: "key-previous", 1: "vote-left", 2: "vote-right", 0: "vote-tie" };
  const visible = (element) => element.offsetParent !== null && !element.disabled && !element.closest("[inert]");
  const click = (name) => {
    const found = [...document.querySelectorAll("." + name)]
      .map((element) => (element.matches("button, a") ? element : element.querySelector("button, a")))
      .find((element) => element && visible(element));
    if (found) found.click();
    return !!found;
  };
  const edit = () => { // the text if there is one, else what opens a correction
    if (!field() || !visible(field())) return click("key-edit");
    field().focus();
    return true;
  };
  const typing = (target) => target.closest && target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable=true]");
  document.addEventListener("keydown", (event) => {
    if (event.isComposing) return; // an input method is choosing characters
    const control = event.ctrlKey || event.metaKey;
    let done = false;
    if (control && event.key === "Enter") done = click(event.shiftKey ? "key-skip" : "key-save");
    else if (control && !event.shiftKey && event.key.toLowerCase() === "z") {
      // Inside a field the browser's own undo comes first; when it has nothing left the button is for the revision.
      done = !typing(event.target) && click("key-undo");
    } else if (!control && !event.altKey && !typing(event.target)) {
      if (event.key === "?") { help(); done = true; }
      else if (event.key === "e") done = edit();
      else if (BARE[event.key]) done = click(BARE[event.key]);
    }
    if (done) event.preventDefault();
  });

  // ---- the list of keys
  const LIST = [["j / k", "keys.next"], ["e", "keys.edit"], ["1 / 2 / 0", "keys.vote"], ["Ctrl + Enter", "keys.save"],
    ["Ctrl + Shift + Enter", "keys.skip"], ["Ctrl + Z", "keys.undo"], ["?", "keys.help"]];
  const help = () => {
    document.querySelector("#keys")?.remove();
    const dialog = document.createElement("dialog");
    dialog.id = "keys";
    const title = document.createElement("h2");
    title.textContent = word("keys.title");
    dialog.setAttribute("aria-label", title.textContent);
    const list = document.createElement("dl");
    for (const [keys, key] of LIST) {
      const dt = document.createElement("dt");
      const dd = document.createElement("dd");
      for (const [index, part] of keys.split(" ").entries()) {
        const element = document.createElement(part === "/" || part === "+" ? "span" : "kbd");
        element.textContent = part;
        if (index) dt.append(" ");
        dt.append(element);
      }
      dd.textContent = word(key);
      list.append(dt, dd);
    }
    const close = document.createElement("button");
    close.textContent = word("keys.close");
    close.className = "button";
    close.addEventListener("click", () => dialog.close());
    dialog.append(title, list, close);
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    document.querySelector(".gradio-container").append(dialog);
    dialog.showModal();
  };

  document.addEventListener("click", (event) => {
    const action = event.target.closest?.("[data-action]")?.dataset.action;
    if (action === "help") help();
    if (event.target.closest?.(".skip")) { // as an address it would be a step back in the history, which loads the page again
      event.preventDefault();
      main().tabIndex = -1;
      main().focus();
    }
    if (action === "theme") setTheme(document.body.classList.contains("dark") ? "light" : "dark");
  });
  document.addEventListener("change", (event) => {
    if (event.target.dataset?.action === "bench" && event.target.value) {
      // Another benchmark: what the address says about samples and filters belongs to the old one.
      location.href = location.pathname + "?bench=" + encodeURIComponent(event.target.value);
    }
  });
  addEventListener("popstate", () => location.reload());

  // ---- the page says it should be opened again (the demo is there)
  const start = () => {
    applyTheme();
    new MutationObserver(applyTheme).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    new MutationObserver(() => {
      shut();
      if (document.querySelector("[data-reload]") && !window.emitReloading) {
        window.emitReloading = true;
        location.reload();
      }
      // A view that stands for an address says so: data-url='{"sample": "..."}', with data-push for a step Back can undo.
      for (const element of document.querySelectorAll("[data-url]")) {
        const values = JSON.parse(element.dataset.url);
        const push = element.dataset.push === "1";
        element.removeAttribute("data-url");
        url(values, push);
      }
    }).observe(document.body, { childList: true, subtree: true });
  };
  if (document.body) start();
  else addEventListener("DOMContentLoaded", start);
})();
