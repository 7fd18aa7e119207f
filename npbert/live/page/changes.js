// What an edit has changed: its name where it is a classic mistake, the first difference, the answers.

const changePane = document.getElementById("live-change");
let offered = null; // the edits of a link, which run when the reader says so
let naming = null; // what the worker says of the edits; null while it does not say

function renderChange() {
  changePane.hidden = !(isEdited() || problem || offered);
  if (changePane.hidden) return;
  const change = page.change && !problem ? page.change : null;
  changePane.replaceChildren(...[
    offered ? offeredElement() : null,
    problem ? problemElement() : null,
    change ? el("p", { class: "named", role: "status" }, namedElement()) : null,
    change ? firstElement(change) : null,
    change ? answersElement(change.answer, page.answer) : null,
    editsElement(edits),
  ].filter(Boolean));
}

function problemElement() {
  const { file, line, message } = problem;
  const place = file ? `${file}${line ? `, line ${line}` : ""}: ` : "";
  return el("p", { class: "problem", role: "alert" }, el("b", {}, place), message);
}

function namedElement() {
  if (!naming) return "Looking for a classic mistake that gives these values …";
  if (naming.error) return "";
  if (!naming.has_effect) return "This edit changes no value, with or without padding.";
  const where = naming.only_padded ? " It shows only where a text is padded." : "";
  if (!naming.mistakes.length) return `This is none of the classic mistakes.${where}`;
  const names = naming.mistakes.flatMap((each, i) => [i ? ", or " : "", el("b", {}, each.about)]);
  const more = naming.mistakes.length > 1 ? " These give the same results." : "";
  return el("span", {}, "A classic mistake: ", ...names, `.${more}${where} `, portElement());
}

// What such a mistake does to a port.
function portElement() {
  const { first, count } = page.change;
  if (!first) return el("span", {}, "On this text no value differs.");
  return el("span", {}, `In a port that makes it, all is right before ${first}; from there on ${count} of ${quantities.length} quantities are wrong, and `,
    el("code", {}, "npbert golden check"), " says the same.");
}

function firstElement(change) {
  if (!change.first) return el("p", {}, "No quantity differs on this text.");
  const number = numberOf.get(change.first);
  const q = quantities[number];
  return el("div", { class: "first" },
    q.change.data ? smallMap(differenceOf(q), "thumb") : null,
    el("p", {}, change.rounding ? "Only rounding differs, first in " : "The first quantity that differs, in computing order: ",
      el("a", { href: `#${encodeURIComponent(q.name)}` }, q.name), ` ${sizeText(q.change)}. `,
      `${change.count} of ${quantities.length} quantities differ.`));
}

function sizeText(change) {
  if (change.missing) return "is new: the right pass has none of this name";
  if (change.shape) return `has another shape, the right one is [${change.shape.join(", ")}]`;
  if (change.size === null) return "has values that are no numbers";
  const share = change.relative === null ? "" : `, ${shown(100 * change.relative, 2)}% of its largest value`;
  return `differs by up to ${shown(change.size)}${share}`;
}

function answersElement(right, now) {
  if (!right.length) return null;
  const cell = (answer) => el("td", {}, answer ? answer.best.flatMap(([text, share], i) => [i ? ", " : "", text, " ", el("small", {}, share === null ? "–" : percent(share))]) : "–");
  const differing = right.map((each, i) => [each, now[i]]).filter(([a, b], i) => right.length <= 4 || JSON.stringify(a) !== JSON.stringify(b) || i === 0);
  return el("table", { class: "answers" },
    el("tr", {}, el("th", { scope: "col" }, "answer"), el("th", { scope: "col" }, "right"), el("th", { scope: "col" }, "with the edit")),
    differing.map(([a, b]) => el("tr", {}, el("th", { scope: "row" }, a.what), cell(a), cell(b))));
}

function offeredElement() {
  const accept = el("button", {
    type: "button",
    onclick: async () => {
      const mine = offered;
      if (!(await haveSources())) return;
      offered = null;
      setEdits(mine);
    },
  }, "Run them");
  return el("div", {}, el("p", {}, "The link carries changes of the source, as somebody made them. ", accept), editsElement(offered));
}

function editsElement(edits) {
  return el("ul", { class: "edits" }, edits.map((edit) => {
    const [file, line, text] = edit;
    const old = sources && sources[file] ? (sources[file][line - 1] || "").trim() : "";
    return el("li", {},
      offered ? null : el("button", { type: "button", "aria-label": `Put line ${line} of ${file} back`, title: "Put it back", onclick: () => setEdits(edits.filter((each) => each !== edit)) }, "✕"),
      el("span", { class: "file" }, `${file}:${line}`), el("del", {}, old), " ", el("ins", {}, text === null ? "(removed)" : text.trim()));
  }));
}

// A quantity's difference as something with values and axes.
function differenceOf(q) {
  const { change } = q;
  if (!change.seen) change.seen = Object.assign(Object.create(q), { ...change, values: undefined, change: undefined });
  return change.seen;
}

onCard.push((card, q) => {
  if (!q.change) return;
  card.classList.add("changed");
  const heading = el("p", {}, "The edit: ", sizeText(q.change));
  card.append(el("div", { class: "difference" }, q.change.data ? smallMap(differenceOf(q), "thumb") : null, heading));
});
