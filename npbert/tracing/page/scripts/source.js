// The left pane: the functions of a section as they ran, each call below the line that made it.

const sourcePane = document.getElementById("source");
const unfolded = new Map(); // step -> whether its lines are shown, where the reader has chosen
const opened = new Set(); // steps whose long signature is shown whole
let lineElements = new Map(); // "step:line" -> the element of a line

// The first call of each function in a section is unfolded, later calls are folded.
function firstCalls(section) {
  const seen = new Set();
  const first = new Set();
  const visit = (number) => {
    const step = steps[number];
    if (step.section !== section.key) return;
    if (!seen.has(step.function)) {
      seen.add(step.function);
      first.add(number);
    }
    [...step.calls.values()].flat().sort((a, b) => a - b).forEach(visit);
  };
  section.roots.forEach(visit);
  return first;
}

function isUnfolded(number, first) {
  return unfolded.has(number) ? unfolded.get(number) : first.has(number);
}

function renderSource(section) {
  const first = firstCalls(section);
  lineElements = new Map();
  sourcePane.querySelectorAll("canvas").forEach((canvas) => watcher.unobserve(canvas));
  const callers = el("p", { class: "way" });
  const root = steps[section.roots[0]];
  if (root && root.caller !== null && root.section !== "end") {
    const caller = steps[root.caller];
    const f = page.functions[caller.function];
    callers.append(`called by ${f.name}, ${f.file}:${root.at}`);
  }
  const all = el("button", { type: "button", class: "quiet", onclick: () => foldAll(section) },
    section.foldable ? "fold repeated calls" : "unfold all calls");
  sourcePane.replaceChildren(
    el("div", { class: "pane-head" }, el("h2", {}, "Source"), callers, all),
    ...section.roots.map((number) => stepElement(number, first, true)),
  );
}

function foldAll(section) {
  section.foldable = !section.foldable;
  steps.forEach((step, number) => {
    if (step.section !== section.key) return;
    if (section.foldable) unfolded.set(number, true);
    else unfolded.delete(number);
  });
  show();
}

function stepElement(number, first, isRoot) {
  const step = steps[number];
  const f = page.functions[step.function];
  const open = isRoot || isUnfolded(number, first);
  const scope = step.scope ? parameterName(`${step.scope}.`).replace(/\.$/, "") : "";
  const head = el("header", { class: "step-head" },
    el("button", {
      type: "button", class: "fold", "aria-expanded": String(open), disabled: isRoot,
      onclick: () => { unfolded.set(number, !open); show(); },
    }, el("span", { class: "arrow", "aria-hidden": "true" }, open ? "▾" : "▸"),
    el("code", {}, f.name),
    // Two calls of one function differ in the parameters that they work with.
    !open && scope ? el("span", { class: "scope" }, scope) : null),
    open ? el("span", { class: "scope" }, scope) : null,
    el("span", { class: "file" }, `${f.file}:${f.first}`));
  const element = el("article", { class: `step${isRoot ? " root" : ""}${open ? "" : " folded"}` }, head);
  if (open) element.append(linesElement(number, step, f, first));
  return element;
}

function linesElement(number, step, f, first) {
  const element = el("div", { class: "lines" });
  const lastOf = new Map(); // statement -> its last line
  f.owner.forEach((owner, i) => { if (owner) lastOf.set(owner, f.first + i); });
  const ran = new Set(step.ran);
  const signature = f.body - f.first;
  const folds = signature > 3 && !opened.has(number);
  f.lines.forEach((text, i) => {
    const line = f.first + i;
    const owner = f.owner[i];
    if (folds && i > 0 && i < signature - 1) {
      if (i === 1) {
        element.append(el("button", {
          type: "button", class: "more", onclick: () => { opened.add(number); show(); },
        }, `⋯ ${signature - 2} lines of arguments`));
      }
      return;
    }
    const isDoc = f.doc && line >= f.doc[0] && line <= f.doc[1];
    if (isDoc && line === f.doc[1] && /^(<[^>]*>)?\s*"""(<[^>]*>)?$/.test(text)) return;
    const kind = isDoc ? "doc" : owner && !ran.has(owner) ? "idle" : owner ? "ran" : "plain";
    element.append(lineElement(number, line, owner && !isDoc ? owner : 0, text, kind));
    if (i === signature - 1) element.append(...below(number, step, f.first, first));
    if (owner && lastOf.get(owner) === line) element.append(...below(number, step, owner, first));
  });
  return element;
}

function lineElement(number, line, owner, text, kind) {
  const made = owner ? steps[number].named.filter((each) => each[0] === owner && typeof each[2] === "number") : [];
  const numbered = made.length
    ? el("button", {
      type: "button", class: "at", "aria-label": `Line ${line}: show its values`,
      onclick: () => go(made[0][2]),
    }, String(line))
    : el("span", { class: "at" }, String(line));
  const shownText = kind === "doc" ? text.replace(/"""/g, "").replace(/^(<span[^>]*>)?\s+/, "$1") : text;
  const indent = kind === "doc" ? 0 : text.replace(/<[^>]*>/g, "").search(/\S|$/) + 4; // wrapped lines hang
  const element = el("div", { class: `line ${kind}` }, numbered, el("code", {
    html: shownText || " ", style: indent ? `padding-left:${indent}ch;text-indent:-${indent}ch` : null,
  }));
  if (made.length) {
    element.classList.add("makes");
    element.addEventListener("click", (event) => {
      if (!event.target.closest("button") && !String(getSelection())) go(made[0][2]);
    });
  }
  const place = `${number}:${owner || line}`;
  for (const each of onLine) each(element, page.functions[steps[number].function], line);
  if (!lineElements.has(place)) lineElements.set(place, []);
  lineElements.get(place).push(element);
  return element;
}

// What is shown below a line: the names that it gave, the numbers, and the calls that it made.
function below(number, step, line, first) {
  const f = page.functions[step.function];
  const isSignature = line === f.first;
  const named = step.named.filter((each) => each[0] === line);
  const chips = named.map(([, name, ref, more]) => (typeof ref === "number"
    ? chip(name, ref, isSignature, more)
    : parameterChip(name, ref, more, isSignature)));
  const numbers = Object.entries(step.numbers[line] || {}).filter(([name]) => name !== "_");
  if (numbers.length) {
    chips.push(el("span", { class: "numbers" }, numbers.flatMap(([name, value], i) => [
      i ? "  " : "", el("i", {}, name), ` ${value.toLocaleString("en")}`])));
  }
  const found = chips.length ? [el("div", { class: "chips" }, chips)] : [];
  const calls = step.calls.get(line) || [];
  const elsewhere = [...new Set(calls.map((call) => steps[call].section))].filter((key) => key !== step.section);
  if (elsewhere.length) {
    found.push(el("div", { class: "elsewhere" }, elsewhere.map((key) => el("button", {
      type: "button", onclick: () => goToSection(key, true),
    }, sectionTitle(key), " →"))));
  }
  const here = calls.filter((call) => steps[call].section === step.section);
  if (here.length) found.push(el("div", { class: "calls" }, here.map((call) => stepElement(call, first, false))));
  return found;
}

// `into`: the function that is given the array, where it has no name before.
function chip(name, number, isArgument, into) {
  const q = quantities[number];
  return el("a", {
    class: "chip", href: `#${encodeURIComponent(q.name)}`, "data-quantity": number, title: `${q.name}\nmean ${shown(q.mean)}, spread ${shown(q.std)}, min ${shown(q.min)}, max ${shown(q.max)}`,
  },
  smallMap(number, "chip"),
  name ? el("code", {}, name) : el("span", { class: "returns" }, "returns"),
  into ? el("span", { class: "from" }, `→ ${into}`) : null,
  isArgument && !matches(q, name) ? el("span", { class: "from" }, `← ${linkName(q)}`) : null,
  shapeElement(q.axes, q.shape));
}

const matches = (q, name) => shortName(q.name).last === name;

function parameterChip(name, parameter, shape, isArgument) {
  return el("a", { class: "chip parameter", title: parameter, href: parameterAddress(parameter) },
    el("code", {}, name || "returns"),
    el("span", { class: "from" }, `${isArgument ? "←" : "of"} ${parameterName(parameter)}`),
    shapeElement(null, shape));
}

// Mark the line that made the present quantity and those that use it; scroll to the first.
function markLines(number, scroll, place) {
  sourcePane.querySelectorAll(".now, .uses").forEach((element) => element.classList.remove("now", "uses"));
  sourcePane.querySelectorAll(".chip[aria-current]").forEach((element) => element.removeAttribute("aria-current"));
  if (number === null) return;
  const q = quantities[number];
  for (const user of q.users) {
    const { made, returned } = quantities[user];
    for (const place of [made, returned]) {
      for (const line of (place && lineElements.get(place.join(":"))) || []) line.classList.add("uses");
    }
  }
  const lines = lineElements.get((place || q.made).join(":")) || [];
  for (const line of lines) {
    line.classList.remove("uses");
    line.classList.add("now");
  }
  sourcePane.querySelectorAll(`.chip[data-quantity="${number}"]`).forEach((element) => element.setAttribute("aria-current", "true"));
  if (scroll && lines.length) scrollTo(sourcePane, lines[0]);
}

// Unfold a step and the steps around it.
function unfoldTo(inner) {
  const first = firstCalls(sections[sectionOf.get(steps[inner].section)]);
  let changed = false;
  for (let step = inner; step !== null; step = steps[step].caller) {
    if (!isUnfolded(step, first)) {
      unfolded.set(step, true);
      changed = true;
    }
  }
  return changed;
}

function scrollTo(pane, element) {
  const outer = pane.getBoundingClientRect();
  const inner = element.getBoundingClientRect();
  if (pane.scrollHeight <= pane.clientHeight + 1 || getComputedStyle(pane).overflowY === "visible") {
    element.scrollIntoView({ block: "center" });
  } else if (inner.top < outer.top + 60 || inner.bottom > outer.bottom - 60) {
    pane.scrollTop += inner.top - outer.top - Math.min(outer.height / 3, 220);
  }
}
