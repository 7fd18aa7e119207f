// Search: names, aliases and lines of source, as they are typed.

const searchInput = document.getElementById("search");
const results = document.getElementById("results");
const MOST_FOUND = 60;
let found = [];
let chosen = -1;

// The lines of all functions as plain text, each with a quantity to go to.
let sourceLines = [];

function readSourceLines() {
  sourceLines = [];
  const makers = new Map(); // "file:line" -> the first quantity made there
  quantities.forEach((q, i) => {
    const f = page.functions[steps[q.made[0]].function];
    const place = `${f.file}:${q.made[1]}`;
    if (!makers.has(place)) makers.set(place, i);
  });
  steps.forEach((step) => {
    const f = page.functions[step.function];
    for (const [line, , ref] of step.named) {
      const place = `${f.file}:${line}`;
      if (typeof ref === "number" && line !== f.first && !makers.has(place)) makers.set(place, ref);
    }
  });
  const reader = document.createElement("template");
  for (const f of page.functions) {
    f.lines.forEach((text, i) => {
      const place = `${f.file}:${f.owner[i] || f.first + i}`;
      if (!makers.has(place)) return;
      reader.innerHTML = text;
      sourceLines.push({ text: reader.content.textContent.trim(), place: `${f.file}:${f.first + i}`, number: makers.get(place) });
    });
  }
}

onData.push(readSourceLines);
readSourceLines();

function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const has = (candidate) => words.every((word) => candidate.includes(word));
  const names = [];
  quantities.forEach((q, number) => {
    const also = q.aliases.find((alias) => has(alias.toLowerCase()));
    if (has(q.name.toLowerCase())) names.push({ number, rank: shortName(q.name).last.toLowerCase().startsWith(words[0]) ? 0 : 1 });
    else if (also) names.push({ number, also, rank: 2 });
  });
  const here = (each) => (quantities[each.number].section === current.section ? 0 : 1);
  names.sort((a, b) => a.rank - b.rank || here(a) - here(b) || a.number - b.number);
  const lines = sourceLines.filter((line) => has(line.text.toLowerCase()));
  const parameters = Object.keys(page.parameters).filter((name) => parameterAddress(name) && has(name.toLowerCase())).map((parameter) => ({ parameter }));
  return [...names, ...parameters, ...lines];
}

function showResults() {
  const all = search(searchInput.value);
  found = all.slice(0, MOST_FOUND);
  chosen = found.length ? 0 : -1;
  const open = searchInput.value.trim() !== "" && document.activeElement === searchInput;
  results.hidden = !open;
  searchInput.setAttribute("aria-expanded", String(open));
  if (!open) return;
  results.replaceChildren(...found.map((each, i) => {
    const q = quantities[each.number];
    const option = each.parameter
      ? el("div", { role: "option", id: `found-${i}` },
        el("span", { class: "there" }, "Parameter"), el("span", { class: "name" }, each.parameter),
        shapeElement(null, page.parameters[each.parameter].shape))
      : each.text === undefined
      ? el("div", { role: "option", id: `found-${i}` },
        el("span", { class: "there" }, sectionTitle(q.section)),
        el("span", { class: "name" }, el("span", { class: "place" }, `${shortName(q.name).place}.`.replace(/^\.$/, "")), shortName(q.name).last,
          each.also ? el("span", { class: "place" }, ` also ${each.also}`) : null),
        shapeElement(q.axes, q.shape))
      : el("div", { role: "option", id: `found-${i}` },
        el("span", { class: "there" }, each.place), el("code", { class: "name" }, each.text));
    option.addEventListener("pointerdown", (event) => { event.preventDefault(); take(i); });
    return option;
  }), el("p", { class: "note" }, all.length > found.length ? `${all.length} found, the first ${MOST_FOUND} shown`
    : all.length ? `${all.length} found` : "Nothing has this in its name or its source."));
  mark();
}

function mark() {
  [...results.querySelectorAll("[role=option]")].forEach((option, i) => {
    option.setAttribute("aria-selected", String(i === chosen));
    if (i === chosen) option.scrollIntoView({ block: "nearest" });
  });
  if (chosen < 0) searchInput.removeAttribute("aria-activedescendant");
  else searchInput.setAttribute("aria-activedescendant", `found-${chosen}`);
}

function take(i) {
  if (!found[i]) return;
  const { number, text, parameter } = found[i];
  closeSearch();
  if (parameter) location.hash = parameterAddress(parameter);
  else go(number, { source: text !== undefined });
}

function closeSearch() {
  searchInput.blur();
  results.hidden = true;
  searchInput.setAttribute("aria-expanded", "false");
}

searchInput.addEventListener("input", showResults);
searchInput.addEventListener("focus", showResults);
searchInput.addEventListener("blur", () => { results.hidden = true; });
searchInput.addEventListener("keydown", (event) => {
  const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (move && found.length) {
    event.preventDefault();
    chosen = (chosen + move + found.length) % found.length;
    mark();
  } else if (event.key === "Enter") {
    event.preventDefault();
    take(chosen);
  } else if (event.key === "Escape") {
    event.preventDefault();
    closeSearch();
  }
  event.stopPropagation();
});
