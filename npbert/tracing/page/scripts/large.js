// A heatmap by itself: word pieces along its edges, values under the pointer, the colour scale.

const large = document.getElementById("large");
let cell = null; // the cell [row, column] whose value is shown
let largeParts = null;

// `q`: a quantity, or a parameter with the fields of one.
function openLarge(q) {
  cell = null;
  fillLarge(q);
  if (!large.open) large.showModal();
  layLarge();
  largeParts.frame.focus({ preventScroll: true });
}

function fillLarge(asked) {
  const number = quantities.indexOf(asked); // -1 for a parameter
  const q = seen(asked);
  const { place, last } = number < 0 ? { place: q.name.split(".").slice(0, -1).join("."), last: q.name.split(".").pop() } : shortName(q.name);
  const all = number < 0 ? [] : sections[sectionOf.get(q.section)].quantities;
  const at = all.indexOf(number);
  const button = (label, text, action, disabled) => el("button", { type: "button", "aria-label": label, title: label, onclick: action, disabled }, text);
  const frame = el("div", { class: "frame", tabindex: "0", role: "application", "aria-roledescription": "heatmap", "aria-label": description(q) });
  const corner = el("div", { class: "corner" });
  const top = el("canvas", { class: "edge top-edge" });
  const left = el("canvas", { class: "edge left-edge" });
  const map = el("canvas", { class: "whole" });
  const box = el("div", { class: "box", "aria-hidden": "true" });
  const inner = el("div", { class: "inner" }, map, box);
  frame.append(corner, top, left, inner);
  const readout = el("p", { class: "readout", "aria-live": "polite" });
  const scale = el("div", { class: "scale" });
  large.replaceChildren(
    el("header", {},
      el("div", { class: "title" },
        el("p", { class: "place" }, `${number < 0 ? "Parameter" : sectionTitle(q.section)}${place ? ` · ${place}` : ""}`),
        el("h2", { id: "large-name", title: q.name }, last, " ", shapeElement(q.axes, q.shape))),
      el("div", { class: "tools" },
        button("Quantity before (k)", "↑", () => stepQuantity(-1), at <= 0),
        button("Next quantity (j)", "↓", () => stepQuantity(1), at >= all.length - 1),
        button("Close (Esc)", "✕", () => large.close()))),
    el("div", { class: "choices" }, choices(q)),
    el("div", { class: "view" }, el("div", { class: "picture" }, frame, readout), el("div", { class: "beside" },
      el("div", {}, scale, allHeads(q)),
      el("div", { class: "said" }, q.equation ? el("p", { class: "equation" }, q.equation) : null,
        statisticsElement(q), q.steps ? el("p", { class: "note" }, cutNote(q)) : null, number < 0 ? usersElement(q) : linksElement(number)))));
  largeParts = { q, frame, corner, top, left, map, inner, box, readout, scale };
  inner.addEventListener("pointermove", (event) => pointAt(event));
  inner.addEventListener("pointerdown", (event) => pointAt(event));
  inner.addEventListener("pointerleave", () => { cell = null; showCell(); });
  frame.addEventListener("keydown", moveCell);
}

// A parameter as something to open: its values, and the quantities that are computed from it.
function parameterOf(name) {
  const users = () => quantities.map((q, i) => i).filter((i) => quantities[i].inputs.includes(name));
  return Object.assign(page.parameters[name], { name, axes: null, inputs: [], aliases: [], users: users() });
}

function usersElement(q) {
  return el("div", { class: "links" }, el("span", { class: "what" }, "used by"),
    el("span", {}, q.users.flatMap((user, i) => (i ? [", ", quantityLink(user)] : [quantityLink(user)]))));
}

function description(q) {
  return `Heatmap of ${q.name}, ${shapeText(q.axes, q.shape)}: mean ${shown(q.mean)}, from ${shown(q.min)} to ${shown(q.max)}. Arrow keys read single values.`;
}

function cutNote(q) {
  const parts = q.steps.map((step, axis) => [step, axis]).filter(([step]) => step > 1)
    .map(([step, axis]) => `every ${ordinal(step)} of ${q.shape[axis].toLocaleString("en")} along ${letterOf(q, axis) || `axis ${axis}`}`);
  return `Shown is ${parts.join(", ")}; the statistics are those of all values.${q.kept.some(Boolean) ? ` ${page.mask} and special tokens are always shown.` : ""}`;
}

// Steppers for the axes that are not shown, and a choice of those that are.
function choices(q) {
  const found = [];
  for (const axis of restAxes(q)) {
    const length = keptShape(q)[axis];
    if (length > 1) found.push(stepper(axisName(q, axis), placeOn(q, axis), length, (place) => { setPlace(q, axis, place); changedChoice(); }, numberOfPlace(q, axis, placeOn(q, axis))));
  }
  const long = q.shape.map((_, axis) => axis).filter((axis) => q.shape[axis] > 1);
  if (long.length > 1) {
    const [rows, columns] = shownAxes(q);
    const pick = (title, now, set) => el("label", { class: "pick" }, title, " ", el("select", {
      onchange: (event) => { set(Number(event.target.value)); show(); },
    }, q.shape.map((length, axis) => el("option", { value: axis, selected: axis === now }, `${letterOf(q, axis)} ${length}`))));
    found.push(
      pick("down", rows, (axis) => turned.set(q.name, axis === columns ? [columns, rows] : [axis, columns])),
      pick("across", columns, (axis) => turned.set(q.name, axis === rows ? [columns, rows] : [rows, axis])),
    );
  }
  for (const each of onChoices) each(found, q);
  return found;
}

function stepper(title, place, length, set, number) {
  const to = (next) => () => set((next + length) % length);
  return el("span", { class: "stepper", role: "group", "aria-label": title },
    el("button", { type: "button", "aria-label": `${title} before`, onclick: to(place - 1) }, "‹"),
    el("span", { class: "value" }, `${title} `, el("b", {}, String(number)), el("small", {}, ` of ${length}`)),
    el("button", { type: "button", "aria-label": `next ${title}`, onclick: to(place + 1) }, "›"));
}

// All heads side by side, small; `choose` is called after one has been chosen.
function allHeads(q, choose = changedChoice) {
  const axis = restAxes(q).find((each) => letterOf(q, each) === "H" && q.shape[each] > 1);
  if (axis === undefined) return null;
  return el("div", { class: "heads", role: "group", "aria-label": "All heads" },
    Array.from({ length: keptShape(q)[axis] }, (_, head) => {
      const canvas = el("canvas", { class: "map", "aria-hidden": "true" });
      Object.assign(canvas, { quantity: q, kind: "head", at: { [axis]: head } });
      const [width, height] = smallSize(q, "head");
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
      watcher.observe(canvas);
      return el("button", {
        type: "button", "data-head": head, "aria-pressed": String(head === placeOn(q, axis)), "aria-label": `Head ${head}`,
        onclick: () => { setPlace(q, axis, head); choose(); },
      }, canvas, el("small", {}, `head ${head}`));
    }));
}

// ---- drawing --------------------------------------------------------------------------------

function layLarge() {
  const { q, frame, corner, top, left, map, inner, scale } = largeParts;
  const matrix = matrixOf(q);
  const ink = getComputedStyle(largeParts.readout).color;
  const measure = document.createElement("canvas").getContext("2d");
  measure.font = font(11);
  const labels = (axis, count) => Array.from({ length: count }, (_, i) => edgeLabel(q, axis, i));
  const rowLabels = labels(matrix.rowAxis, matrix.rows);
  const columnLabels = labels(matrix.columnAxis, matrix.columns);
  const widest = (texts) => texts.reduce((most, text) => Math.max(most, measure.measureText(text).width), 0);
  const leftWidth = Math.ceil(Math.min(120, widest(rowLabels))) + 12;
  const words = hasWords(q, matrix.columnAxis);
  const topHeight = words ? Math.ceil(Math.min(110, widest(columnLabels))) + 10 : 20;
  const room = large.clientWidth - 2 * parseFloat(getComputedStyle(large).paddingLeft) - leftWidth - 2;
  const square = matrix.rows === matrix.columns || words;
  const tall = Math.max(220, window.innerHeight * 0.58 - topHeight);
  const isTaps = letterOf(q, matrix.columnAxis) === "K"; // few columns: with room for their numbers
  let cellWidth = Math.max(1, Math.min(room / matrix.columns, square || isTaps ? 46 : 30));
  const cellHeight = Math.max(1, Math.min(tall / matrix.rows, square ? Math.max(cellWidth, 14) : 30));
  // Tokens by tokens is a square, unless its cells are wide enough for the values to be written.
  if (matrix.rows === matrix.columns && cellHeight < 24) cellWidth = Math.min(cellWidth, cellHeight);
  const width = Math.max(1, Math.round(cellWidth * matrix.columns));
  const height = Math.max(1, Math.round(cellHeight * matrix.rows));
  paint(map, q, width, height);
  inner.style.width = `${width}px`;
  inner.style.height = `${height}px`;
  frame.style.gridTemplateColumns = `${leftWidth}px ${width}px`;
  frame.style.gridTemplateRows = `${topHeight}px ${height}px`;
  // A row of tokens by tokens shows what one token attends to.
  const both = [matrix.rowAxis, matrix.columnAxis].every((axis) => letterOf(q, axis) === "T");
  corner.textContent = !both ? "" : matrix.rowAxis < matrix.columnAxis ? "sees →" : "seen by →";
  Object.assign(largeParts, { matrix, cellWidth: width / matrix.columns, cellHeight: height / matrix.rows });
  edge(left, leftWidth, height, ink, 11, (context) => {
    context.textAlign = "right";
    eachLabel(rowLabels, height, 10.5, (text, middle) => context.fillText(clipped(context, text, leftWidth - 12), leftWidth - 7, middle));
  });
  edge(top, width, topHeight, ink, 11, (context) => {
    eachLabel(columnLabels, width, words ? 10.5 : isTaps ? 20 : 34, (text, middle) => {
      if (!words) {
        context.textAlign = middle < 8 ? "left" : "center";
        context.fillText(text, middle < 8 ? 0 : middle, topHeight - 9);
        return;
      }
      upright(context, text, middle, topHeight - 6, topHeight - 10);
    });
  });
  writeValues();
  drawScale(scale, q);
  showCell();
}

// The values, in cells with room for them.
function writeValues() {
  const { q, map, matrix, cellWidth, cellHeight } = largeParts;
  // Shares have four characters, other numbers more.
  const least = !q.signed && q.limit <= 1 && q.limit >= 0.1 ? 25 : 34;
  if (cellWidth < least || cellHeight < 14) return;
  const ratio = window.devicePixelRatio || 1;
  const context = map.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = "10.5px ui-sans-serif, system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let row = 0; row < matrix.rows; row++) {
    for (let column = 0; column < matrix.columns; column++) {
      const value = matrix.at(row, column);
      if (Number.isNaN(value)) continue;
      const [r, g, b] = colourOf(q, value);
      context.fillStyle = 0.3 * r + 0.59 * g + 0.11 * b > 130 ? "#16181d" : "#f4f6fb";
      const text = q.scale && q.limit >= 0.1 && Math.abs(value) < 100
        ? value.toFixed(2).replace(/^-(0\.00)$/, "$1") : shown(value, 2);
      context.fillText(text.replace("-", "−"), (column + 0.5) * cellWidth, (row + 0.5) * cellHeight);
    }
  }
}

// The colours with their values, below a histogram of all values.
function drawScale(element, q) {
  const BINS = 64;
  const low = q.signed ? -q.limit : 0;
  const counts = new Float64Array(BINS);
  for (const value of valuesOf(q)) {
    if (Number.isNaN(value)) continue;
    const t = (value - low) / (q.limit - low);
    counts[Math.min(BINS - 1, Math.max(0, Math.floor(t * BINS)))] += 1;
  }
  const most = Math.max(...counts) || 1;
  const table = tableOf(q);
  const bars = el("div", { class: "bars" }, Array.from(counts, (count, i) => {
    const from = 4 * Math.round((i + 0.5) / BINS * (STEPS - 1));
    return el("i", { style: `height:${count ? Math.max(3, 100 * Math.sqrt(count / most)).toFixed(1) : 0}%;background:rgb(${table[from]} ${table[from + 1]} ${table[from + 2]})` });
  }));
  const beyond = (side, is) => (is ? `${side} ` : "");
  element.replaceChildren(...[bars,
    rampElement(q),
    el("div", { class: "ticks" },
      el("span", {}, beyond("≤", q.signed && q.min < low * 1.001), shown(low)),
      el("span", {}, shown((low + q.limit) / 2)),
      el("span", {}, beyond("≥", q.max > q.limit * 1.001), shown(q.limit))),
    q.masked ? el("p", { class: "note" }, `${q.masked} masked places have no colour.`) : null].filter(Boolean));
  element.setAttribute("aria-label", `Colours from ${shown(low)} to ${shown(q.limit)}`);
}

// ---- single values --------------------------------------------------------------------------

function pointAt(event) {
  const { inner, matrix, cellWidth, cellHeight } = largeParts;
  const box = inner.getBoundingClientRect();
  const within = (place, count) => Math.min(count - 1, Math.max(0, place));
  cell = [
    within(Math.floor((event.clientY - box.top) / cellHeight), matrix.rows),
    within(Math.floor((event.clientX - box.left) / cellWidth), matrix.columns),
  ];
  showCell();
}

function moveCell(event) {
  const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!move || event.metaKey || event.ctrlKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  const { matrix } = largeParts;
  cell = cell
    ? [(cell[0] + move[0] + matrix.rows) % matrix.rows, (cell[1] + move[1] + matrix.columns) % matrix.columns]
    : [0, 0];
  showCell();
}

function showCell() {
  const { q, matrix, box, readout, cellWidth, cellHeight } = largeParts;
  box.hidden = cell === null;
  if (cell === null || cell[0] >= matrix.rows || cell[1] >= matrix.columns) {
    readout.replaceChildren(el("span", { class: "hint" }, "Point at a cell, or move with the arrow keys, to read its value."));
    return;
  }
  const [row, column] = cell;
  Object.assign(box.style, {
    left: `${column * cellWidth}px`, top: `${row * cellHeight}px`, width: `${cellWidth}px`, height: `${cellHeight}px`,
  });
  const value = matrix.at(row, column);
  const parts = [[matrix.rowAxis, row], [matrix.columnAxis, column]].filter(([axis]) => axis >= 0)
    .map(([axis, place]) => {
      const number = numberOfPlace(q, axis, place);
      const label = edgeLabel(q, axis, place);
      return el("span", {}, `${letterOf(q, axis) || `axis ${axis}`} ${number}`, hasWords(q, axis) || letterOf(q, axis) === "K" ? el("b", { class: "word" }, label) : null);
    });
  readout.replaceChildren(el("b", { class: "number" }, Number.isNaN(value) ? "masked" : shown(value, 4)), ...parts);
}

large.addEventListener("close", () => {
  if (!current.open && !current.parameter) return;
  Object.assign(current, { open: false, parameter: null });
  writeHash(false);
});
large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
