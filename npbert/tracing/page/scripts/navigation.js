// Where the reader is: section, quantity, head; the address, the keys, the bars at the top.

// `parameter`: the name of one that is open large, in the place of the quantity.
const current = { section: null, number: null, open: false, parameter: null };
const main = document.querySelector("main");

// Go to a quantity; `source` shows its line, or another line given as [step, line]. The address
// changes with it, so that the browser can go back and a link leads to the same place.
function go(number, { open = false, source = false, replace = false } = {}) {
  current.number = number;
  current.open = open;
  current.parameter = null;
  writeHash(!replace);
  arrive(source);
}

function arrive(source) {
  const q = quantities[current.number];
  const changed = current.section !== q.section;
  current.section = q.section;
  const place = Array.isArray(source) ? source : q.made;
  const grown = unfoldTo(place[0]);
  if (large.open && !current.open && !current.parameter) large.close();
  if (source) setPane("source");
  else if (main.dataset.pane === "source" && getComputedStyle(valuesPane).display === "none" && !current.open) setPane("values");
  if (changed) show();
  else if (grown) renderSource(sections[sectionOf.get(current.section)]);
  markLines(current.number, true, place);
  markCard(current.number, true);
  if (current.open || current.parameter) openLarge(lookedAt());
}

const lookedAt = () => (current.parameter ? parameterOf(current.parameter) : quantities[current.number]);

// Draw everything for the reader's place.
function show() {
  const section = sections[sectionOf.get(current.section)];
  const tops = [sourcePane.scrollTop, valuesPane.scrollTop];
  const stays = show.last === current.section;
  show.last = current.section;
  renderSource(section);
  renderValues(section);
  renderBars();
  markLines(current.number, false);
  markCard(current.number, false);
  [sourcePane.scrollTop, valuesPane.scrollTop] = stays ? tops : [0, 0];
  if (large.open) {
    const held = document.activeElement && document.activeElement.getAttribute("aria-label");
    fillLarge(lookedAt());
    layLarge();
    const again = held && [...large.querySelectorAll("button, .frame")].find((each) => each.getAttribute("aria-label") === held);
    (again || largeParts.frame).focus({ preventScroll: true });
  }
}

// Go to the same quantity in another section, or to its first one; `toTop`: and to the section's `def`.
function goToSection(key, toTop = false) {
  const section = sections[sectionOf.get(key)];
  const twin = current.number === null ? undefined : twinIn(quantities[current.number], key);
  const number = twin === undefined ? section.quantities[0] : twin;
  if (number === undefined) return;
  go(number, { open: large.open });
  if (toTop && !large.open) sourcePane.scrollTop = 0;
}

// The same quantity in another layer.
function twinIn(q, key) {
  const name = q.name.replace(/(^|\.)(layers?)\.\d+(?=\.|$)/, `$1$2.${key}`);
  return /^\d+$/.test(key) && /^\d+$/.test(q.section) ? numberOf.get(name) : undefined;
}

function stepSection(by) {
  const next = sectionOf.get(current.section) + by;
  if (next >= 0 && next < sections.length) goToSection(sections[next].key);
}

function stepQuantity(by) {
  const all = sections[sectionOf.get(current.section)].quantities;
  const next = all[all.indexOf(current.number) + by];
  if (next !== undefined) {
    go(next, { open: large.open, replace: true });
    if (!large.open) cards.get(next).focus({ preventScroll: true });
  }
  else if (!large.open) stepPast(by);
}

function stepPast(by) {
  const section = sections[sectionOf.get(current.section) + by];
  if (section && section.quantities.length) go(section.quantities[by > 0 ? 0 : section.quantities.length - 1]);
}

function stepHead(by) {
  const q = quantities[current.number];
  const count = headCount(large.open ? [q] : sections[sectionOf.get(current.section)].quantities.map((i) => quantities[i]));
  if (count > 1) {
    choice.head = (Math.min(choice.head, count - 1) + by + count) % count;
    changedChoice();
  }
}

function changedChoice() {
  writeHash(false);
  if (large.open || choice.token !== null) show();
  else {
    renderBars();
    redraw();
    valuesPane.querySelectorAll(".where").forEach((where) => where.fill());
    valuesPane.querySelectorAll(".heads button").forEach((button) => {
      button.setAttribute("aria-pressed", String(Number(button.dataset.head) === choice.head));
    });
  }
}

const headCount = (all) => all.reduce((most, q) => Math.max(most, q.axes && q.axes.includes("H") ? q.shape[q.axes.indexOf("H")] : 0), 0);

// ---- the address ----------------------------------------------------------------------------

function writeHash(push) {
  const parts = [encodeURIComponent(quantities[current.number].name)];
  if (choice.head) parts.push(`head=${choice.head}`);
  if (choice.row) parts.push(`row=${choice.row}`);
  if (choice.token !== null) parts.push(`token=${choice.token}`);
  if (current.open) parts.push("open");
  if (current.parameter) parts.push(`parameter=${encodeURIComponent(current.parameter)}`);
  for (const more of inAddress) parts.push(...[more()].filter(Boolean));
  const hash = `#${parts.join("&")}`;
  if (hash === location.hash) return;
  history[push ? "pushState" : "replaceState"](null, "", hash);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch (error) { // not a name that this page wrote
    return "";
  }
}

function readHash() {
  const [name, ...parts] = location.hash.slice(1).split("&");
  const number = numberOf.get(decoded(name)) ?? (current.number || 0);
  const before = choice.token;
  current.parameter = null;
  for (const part of parts) {
    const [key, value] = part.split("=");
    if (["head", "row", "token"].includes(key)) choice[key] = Math.max(0, parseInt(value, 10) || 0);
    if (key === "parameter" && page.parameters[decoded(value)]?.data) current.parameter = decoded(value);
  }
  current.number = number;
  current.open = parts.includes("open");
  arrive(parts.includes("source") ? quantities[number].made
    : parts.includes("returned") && quantities[number].returned);
  if (choice.token !== before) {
    renderTokens();
    show();
  }
  writeHash(false);
}

window.addEventListener("hashchange", readHash);

// ---- the bars -------------------------------------------------------------------------------

function renderBars() {
  const bar = document.getElementById("sections");
  const held = bar.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const layers = sections.filter((section) => /^\d+$/.test(section.key));
  const button = (section) => el("button", {
    type: "button", "data-key": section.key, "aria-pressed": String(section.key === current.section),
    "aria-label": sectionTitle(section.key), disabled: !section.quantities.length,
    onclick: () => goToSection(section.key, true),
  }, section.title);
  bar.replaceChildren(
    button(sections[0]),
    ...(layers.length ? [el("span", { class: "layers" }, el("span", { class: "label" }, "Layer"), ...layers.map(button))] : []),
    button(sections[sections.length - 1]),
  );
  if (held) bar.querySelector(`[data-key="${held}"]`).focus();
  const now = bar.querySelector("[aria-pressed=true]");
  if (now) bar.scrollLeft = now.offsetLeft - bar.clientWidth / 2;
  const pickers = document.getElementById("pickers");
  const all = sections[sectionOf.get(current.section)].quantities.map((i) => quantities[i]);
  const heads = headCount(all);
  pickers.replaceChildren(
    ...(page.tokens.length > 1 ? [picker("Sentence", "row", page.tokens.length)] : []),
    ...(heads > 1 ? [picker("Attention head", "head", heads)] : []),
  );
}

function picker(title, key, count) {
  const now = Math.min(choice[key], count - 1);
  const set = (value) => { choice[key] = value; changedChoice(); if (key === "row") { renderTokens(); show(); } };
  return el("span", { class: "picker", role: "group", "aria-label": title }, el("span", { class: "label" }, title),
    Array.from({ length: count }, (_, i) => el("button", {
      type: "button", "aria-pressed": String(i === now), "aria-label": `${title} ${i}`, onclick: () => set(i),
    }, String(i))));
}

// The text, with the model's best word piece at each mask, or the label of each token; below it what
// the model says of the whole.
function renderTokens() {
  renderAnswer();
  const row = Math.min(choice.row, page.tokens.length - 1);
  const scored = quantities.find((q) => q.top && q.top[0][0][0].length > 2);
  document.getElementById("tokens").replaceChildren(...page.tokens[row].map((token, i) => {
    const kind = token === page.mask ? " mask" : /^\[.*\]$/.test(token) ? " special" : "";
    const best = scored && token === page.mask ? scored.top[row][i][0] : null;
    const label = labelOfToken(row, i);
    return el("span", { class: `token${kind}` }, el("button", {
      type: "button", class: "piece", "aria-pressed": String(i === choice.token), title: "Follow this token through all layers",
      onclick: () => followToken(i),
    }, token),
      label ? el("small", { class: "guess" }, `${label[0]} ${percent(label[1])}`) : best ? el("a", { class: "guess", href: `#${encodeURIComponent(scored.name)}`, title: "The model's best word piece here" }, `${best[0]} ${percent(best[2])}`)
        : el("small", {}, String(i)));
  }));
}

function renderHeading() {
  const { name, class: kind, parameters, dtype } = page.model;
  document.getElementById("model").textContent = name;
  const size = parameters >= 1e6 ? `${(parameters / 1e6).toFixed(1)} million` : parameters.toLocaleString("en");
  document.getElementById("about").textContent = `${kind}, ${size} parameters, ${dtype}; ${quantities.length} quantities of one forward pass`;
}

function setPane(pane) {
  main.dataset.pane = pane;
  for (const button of document.querySelectorAll("#tabs button")) button.setAttribute("aria-pressed", String(button.dataset.pane === pane));
}

for (const button of document.querySelectorAll("#tabs button")) {
  button.addEventListener("click", () => { setPane(button.dataset.pane); markLines(current.number, true); markCard(current.number, true); });
}

// ---- light and dark, help, keys -------------------------------------------------------------

function flipTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  recolour();
}

function recolour() {
  setRamps();
  redraw();
  if (large.open) show();
}

darkQuery.addEventListener("change", recolour);
document.getElementById("theme").addEventListener("click", flipTheme);
document.getElementById("ask").addEventListener("click", () => openHelp());
window.addEventListener("resize", () => { if (large.open) layLarge(); });

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  setPane("values");
  cards.get(current.number).focus();
});

const help = document.getElementById("help");
const KEYS = [
  ["j  k  ↓  ↑", "next quantity, the one before"], ["[  ]", "layer before, next layer; the same quantity there"],
  ["h  l", "head before, next head"], ["Enter", "open the heatmap large"],
  ["← ↑ ↓ →", "in a large heatmap: move from cell to cell"], ["Esc", "close"],
  ["/", "search names and source"], ["t", "light or dark"], ["?", "this help"],
];

function openHelp() {
  help.replaceChildren(
    el("header", {}, el("h2", { id: "help-name" }, "Reading this page"),
      el("button", { type: "button", "aria-label": "Close (Esc)", onclick: () => help.close() }, "✕")),
    el("p", {}, "On the left is the source of the forward pass as it ran, with every call below the line that made it; "
      + "lines that did not run are pale. On the right are the values, in computing order. "
      + "The bar marks the line that made the chosen quantity, the dotted one those that use it. A narrow window shows one of the two at a time. "
      + "A word piece of the text, pressed, is followed: its row is marked in every quantity, and what the head would say of it "
      + "after every layer stands above the values. Parameters open like quantities."),
    el("h3", {}, "Keys"),
    el("table", {}, KEYS.map(([key, meaning]) => el("tr", {}, el("th", { scope: "row" }, key.split("  ").flatMap((each, i) => [i ? " " : "", el("kbd", {}, each)])), el("td", {}, meaning)))),
    el("h3", {}, "Axes"),
    el("table", {}, Object.entries(page.legend).map(([letter, meaning]) => el("tr", {}, el("th", { scope: "row" }, letter), el("td", {}, meaning)))),
    el("h3", {}, "Colours and numbers"),
    el("p", {}, "Signed values run from blue to red, and zero is as pale as the page; values that are never negative run from pale to strong. "
      + "Where a few values lie far outside, the scale ends before them and says so. "
      + "Mean, spread (standard deviation), min and max are those of all values; masked scores do not count. "
      + "Single values are exact to about three digits."),
    el("p", { class: "note" }, `Written by npbert ${page.version}. The page holds everything that it shows and loads nothing.`));
  if (!help.open) help.showModal();
}

help.addEventListener("click", (event) => { if (event.target === help) help.close(); });

const ACTIONS = {
  j: () => stepQuantity(1), ArrowDown: () => stepQuantity(1),
  k: () => stepQuantity(-1), ArrowUp: () => stepQuantity(-1),
  "]": () => stepSection(1), "[": () => stepSection(-1),
  l: () => stepHead(1), h: () => stepHead(-1),
  t: flipTheme, "?": openHelp,
  "/": () => { if (large.open) large.close(); searchInput.focus(); searchInput.select(); },
};

document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.target.closest("input, select, textarea") || help.open) return;
  if (event.key === "Enter" && !large.open && !event.target.closest("a, button")) {
    go(current.number, { open: true });
    event.preventDefault();
  } else if (ACTIONS[event.key]) {
    ACTIONS[event.key]();
    event.preventDefault();
  }
});

setRamps();
renderHeading();
renderTokens();
readHash();
