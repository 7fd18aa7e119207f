// A port's values beside npbert's, where the page is the report of a check.

const check = page.check;
const VIEWS = { npbert: "npbert", port: "yours", difference: "difference" };
let view = "npbert"; // which of the three the large heatmap shows

// The same quantity with other values. The port's have npbert's colours, so that the eye compares.
function withValues(q, part, colours) {
  return Object.assign(Object.create(q), part, colours, { values: null });
}

for (const q of quantities) {
  if (!q.check || !q.check.port) continue; // nothing was given, or what has another shape
  const { port, difference } = q.check;
  q.views = {
    npbert: q,
    port: withValues(q, port, { limit: q.limit, signed: q.signed }),
    difference: withValues(q, difference, { signed: true }),
  };
}

seen = (q) => (q.views ? q.views[view] : q);
large.addEventListener("close", () => { view = "npbert"; });

function verdictOf(q) {
  if (!q.check) return "not-given";
  return q.check.fails ? (q.check.verdict === "inherited" ? "inherited" : "wrong") : "right";
}

// The buttons of the sections have the colour of the worst verdict in them.
document.head.append(el("style", {}, sections.map((section) => {
  const all = section.quantities.map((number) => verdictOf(quantities[number]));
  const worst = ["wrong", "inherited"].find((verdict) => all.includes(verdict));
  return worst ? `#sections button[data-key="${section.key}"] { border-bottom: 3px solid var(--${worst}); }\n` : "";
})));

// ---- on the card of a quantity --------------------------------------------------------------

function comparisonElement(q) {
  if (!q.check) return el("p", { class: "verdict not-given" }, el("b", {}, "not given"));
  const map = (name) => el("button", {
    type: "button", class: "thumb", "aria-label": `${q.name}, ${VIEWS[name]}: open the heatmap large`,
    onclick: () => { view = name; go(numberOf.get(q.name), { open: true }); },
  }, smallMap(q.views[name], "thumb"),
  el("span", { class: "mini" }, el("b", {}, VIEWS[name]), " ", shown(q.views[name].signed ? -q.views[name].limit : 0, 2), rampElement(q.views[name]), shown(q.views[name].limit, 2)));
  return el("div", { class: "comparison" },
    el("p", { class: `verdict ${verdictOf(q)}` }, el("b", {}, q.check.verdict), q.check.said.map((said) => el("span", {}, said))),
    q.views ? el("div", { class: "maps" }, Object.keys(VIEWS).map(map)) : null);
}

onCard.push((card, q) => card.querySelector("header").after(comparisonElement(q)));

// ---- beside the large heatmap ---------------------------------------------------------------

function viewPicker(q) {
  return el("span", { class: "views picker", role: "group", "aria-label": "Whose values" }, Object.entries(VIEWS).map(([name, title]) => el("button", {
    type: "button", "aria-pressed": String(view === name), onclick: () => { view = name; show(); },
  }, title)));
}

onChoices.push((found, q) => { if (q.views) found.unshift(viewPicker(q)); });

// ---- at the top -----------------------------------------------------------------------------

// A line of text in which the names of quantities are links.
function linkedLine(text) {
  return text.split(/([\w.]*\w)/).map((part) => {
    const number = numberOf.get(part);
    const isName = number !== undefined && quantities[number].name === part;
    // Some names are words of the language, too.
    return isName && (part.includes(".") || check.wrong.includes(part))
      ? el("a", { href: `#${encodeURIComponent(part)}` }, part) : part;
  });
}

function renderCheck() {
  const counts = Object.entries(check.counts).map(([verdict, count]) => `${count} ${verdict}`).join(", ");
  const others = Object.entries(check.others).map(([name, wrong]) => `${name}: ${wrong ? `${wrong} not right` : "all right"}`);
  const [first, ...rest] = check.summary;
  document.body.classList.add("checked");
  document.querySelector(".steps").before(el("section", { class: `check ${check.passed ? "right" : "wrong"}`, "aria-label": "What the check found" },
    el("p", { class: "headline" }, linkedLine(first)),
    rest.length ? el("details", { open: !check.passed }, el("summary", {}, "What it comes to"), el("pre", {}, rest.flatMap((line) => [...linkedLine(line), "\n"]))) : null,
    el("p", { class: "note" }, `Case ${check.case}: ${check.given[0]} of ${check.given[1]} tensors given: ${counts}.`,
      others.length ? ` Other cases: ${others.join("; ")}.` : "")));
}

renderCheck();
// Begin where something is wrong first, unless the address leads elsewhere.
if (!location.hash && check.first !== null) history.replaceState(null, "", `#${encodeURIComponent(check.first)}`);
