// The right pane: every quantity of a section in computing order.

const valuesPane = document.getElementById("values");
let cards = new Map(); // quantity -> its card

const sectionTitle = (key) => (key === "start" ? "Embeddings" : key === "end" ? "Head" : `Layer ${key}`);

function renderValues(section) {
  valuesPane.querySelectorAll("canvas").forEach((canvas) => watcher.unobserve(canvas));
  cards = new Map();
  const count = section.quantities.length;
  const list = el("ol", { class: "cards" });
  for (const number of section.quantities) {
    const card = cardOf(number);
    cards.set(number, card);
    list.append(el("li", {}, card));
  }
  valuesPane.replaceChildren(
    el("div", { class: "pane-head" }, el("h2", {}, sectionTitle(section.key)),
      el("p", { class: "way" }, `${count} ${count === 1 ? "quantity" : "quantities"}, in computing order`)),
    ...[followedElement()].filter(Boolean),
    list,
  );
}

function cardOf(number) {
  const q = quantities[number];
  const { place, last } = shortName(q.name);
  const card = el("article", {
    class: "card", "data-quantity": number, tabindex: "-1", "aria-label": q.name,
    onclick: (event) => { if (!event.target.closest("a, button") && !String(getSelection())) go(number); },
  },
  el("header", {},
    el("h3", {}, el("a", { href: `#${encodeURIComponent(q.name)}`, title: q.name },
      place ? el("span", { class: "place" }, place.split(".").flatMap((part) => [`${part}.`, el("wbr")])) : null, last)),
    shapeElement(q.axes, q.shape)),
  el("button", {
    type: "button", class: "thumb", "aria-label": `${q.name}: open the heatmap large`,
    onclick: () => go(number, { open: true }),
  }, smallMap(number, "thumb"),
  el("span", { class: "below" }, el("span", { class: "mini" }, shown(q.signed ? -q.limit : 0, 2), rampElement(q), shown(q.limit, 2)), whereElement(q), rowElement(q))),
  el("div", { class: "said" },
    q.equation ? el("p", { class: "equation" }, q.equation) : null,
    statisticsElement(q),
    q.top ? topElement(q) : null,
    isOfHeads(q) ? allHeads(q) : null,
    linksElement(number)));
  for (const each of onCard) each(card, q);
  return card;
}

// Whether all heads stand side by side on the card: what each makes of tokens and their neighbours.
function isOfHeads(q) {
  const [rows, columns] = shownAxes(q).map((axis) => letterOf(q, axis));
  return isTokens(rows) && (isTokens(columns) || columns === "K");
}

// The place of the picture along the axes that it does not show.
function whereElement(q) {
  const parts = restAxes(q).filter((axis) => q.shape[axis] > 1);
  const element = el("span", { class: "where" });
  element.fill = () => {
    element.textContent = parts.map((axis) => `${axisName(q, axis)} ${numberOfPlace(q, axis, placeOn(q, axis))}`).join(", ");
  };
  element.fill();
  return element;
}

function axisName(q, axis) {
  const letter = letterOf(q, axis);
  return { H: "head", B: "sentence", T: "token", G: "group", K: "tap" }[letter] || letter || `axis ${axis}`;
}

function statisticsElement(q) {
  const facts = [["mean", q.mean], ["spread", q.std], ["min", q.min], ["max", q.max]];
  const isNumbers = !/^(u?int|bool)/.test(q.dtype); // the mean of ids says nothing
  return el("dl", { class: "facts" },
    facts.filter(([name]) => isNumbers || name === "min" || name === "max").map(([name, value]) => el("div", {}, el("dt", { title: name === "spread" ? "standard deviation" : null }, name), el("dd", {}, shown(value)))),
    q.masked ? el("div", {}, el("dt", {}, "masked"), el("dd", {}, String(q.masked))) : null,
    el("div", {}, el("dt", {}, "type"), el("dd", {}, q.dtype)));
}

function quantityLink(number) {
  const q = quantities[number];
  const f = page.functions[steps[q.made[0]].function];
  const there = q.section === current.section ? "" : `${sectionTitle(q.section)} `;
  return el("a", {
    href: `#${encodeURIComponent(q.name)}`, title: `${q.name}\n${f.name}, ${f.file}:${q.made[1]}`,
  }, there ? el("span", { class: "there" }, there) : null, linkName(q));
}

function lineLink(q, part, [step, line]) {
  const f = page.functions[steps[step].function];
  return el("a", {
    href: `#${encodeURIComponent(q.name)}&${part}`, title: "Show the line in the source",
  }, `${f.name}, ${f.file}:${line}`);
}

function parameterTitle(name) {
  const { mean, std } = page.parameters[name];
  return mean === undefined ? name : `${name}: mean ${shown(mean)}, spread ${shown(std)}`;
}

// Where a parameter opens; nowhere, if the page has no values of it.
const parameterAddress = (name) => (page.parameters[name].data
  ? `#${encodeURIComponent(quantities[current.number || 0].name)}&parameter=${encodeURIComponent(name)}` : null);

function linksElement(number) {
  const q = quantities[number];
  const row = (title, parts) => el("div", { class: "links" }, el("span", { class: "what" }, title), el("span", {}, parts));
  const listed = (parts) => parts.flatMap((part, i) => (i ? [", ", part] : [part]));
  const found = [row("made by", [lineLink(q, "source", q.made),
    ...(q.returned ? [", computed in ", lineLink(q, "returned", q.returned)] : [])])];
  if (q.inputs.length) {
    found.push(row("from", listed(q.inputs.map((input) => (typeof input === "number"
      ? quantityLink(input)
      : el("a", { class: "parameter", href: parameterAddress(input), title: parameterTitle(input) },
        parameterName(input), " ", shapeElement(null, page.parameters[input].shape, "axes small")))))));
  }
  if (q.users.length) found.push(row("used by", listed(q.users.map(quantityLink))));
  if (q.paper) found.push(row("see", [paperElement(q.paper)]));
  const others = [...new Set(q.aliases)];
  if (others.length) found.push(row("also", [el("span", { class: "aliases" }, others.join(", "))]));
  return found;
}

// The section of a paper, as a link to the paper.
function paperElement(section) {
  const paper = (page.papers || {})[section.split(",")[0]];
  return paper ? el("a", { href: paper.link, title: paper.title, rel: "noreferrer" }, section) : section;
}

// The word pieces with the highest scores, for a mask or else for every position.
function topElement(q) {
  const row = Math.min(choice.row, q.top.length - 1);
  const tokens = page.tokens[row];
  const table = el("table", { class: "top" });
  const isShare = q.top[row][0][0].length > 2;
  q.top[row].forEach((best, t) => {
    table.append(el("tr", { class: tokens[t] === page.mask ? "mask" : null },
      el("th", { scope: "row" }, tokens[t]),
      el("td", {}, best.map(([piece, score, share], i) => el("span", {
        class: "piece", title: `score ${shown(score)}`, style: isShare ? `--share:${Math.max(0.04, share).toFixed(3)}` : null,
      }, piece, i < 3 || share >= 0.01 ? el("small", {}, isShare ? percent(share) : shown(score)) : null)))));
  });
  return el("div", { class: "top-frame" }, table,
    el("p", { class: "note" }, `The ${q.top[row][0].length} best of ${q.shape[2].toLocaleString("en")} word pieces at each position. `
      + (q.steps && q.steps[2] > 1 ? `The heatmap shows every ${ordinal(q.steps[2])} of them.` : "")));
}

const percent = (share) => `${(100 * share).toFixed(share >= 0.1 ? 0 : 1)}%`;

function ordinal(n) {
  const ending = n % 100 > 10 && n % 100 < 14 ? "th" : { 1: "st", 2: "nd", 3: "rd" }[n % 10] || "th";
  return `${n}${ending}`;
}

function markCard(number, scroll) {
  for (const [each, card] of cards) {
    if (each === number) card.setAttribute("aria-current", "true");
    else card.removeAttribute("aria-current");
  }
  const card = cards.get(number);
  if (card && scroll) scrollTo(valuesPane, card);
}
