// The data of the page, and what follows from it: values, names, which quantity uses which.

let page;
let quantities;
let steps;
let sections;
let sectionOf; // key of a section -> its number
let numberOf; // every name of a quantity, its aliases included -> its number
let lastNames; // "section:last part of a name" -> how many quantities have it

// What further scripts add to a page: functions that are called with the data of a new pass before it
// is drawn, with each line of the source, with each card, and for more parts of the address.
const onData = [];
const onLine = []; // (element, function, number of the line)
const onCard = []; // (card, quantity)
const onChoices = []; // (elements beside the title of a large heatmap, quantity)
let seen = (q) => q; // what a large heatmap shows of a quantity
const inAddress = []; // () -> "key=value", or nothing

// Take the data of a pass: that of the file, and later those of a live page.
function takeData(data) {
  keepValues(page, data);
  page = data;
  ({ quantities, steps, sections } = page);
  sectionOf = new Map(sections.map((section, i) => [section.key, i]));
  numberOf = new Map(); // an alias that several share means the last
  quantities.forEach((q, i) => q.aliases.forEach((alias) => numberOf.set(alias, i)));
  quantities.forEach((q, i) => numberOf.set(q.name, i));
  quantities.forEach((q) => { q.users = []; });
  quantities.forEach((q, i) => {
    for (const input of q.inputs) if (typeof input === "number") quantities[input].users.push(i);
  });
  // Where a function returned an array that its caller then gave a name: the line of the innermost
  // return, as [step, line].
  steps.forEach((step, number) => {
    for (const [line, name, ref] of step.named) {
      if (name === "" && typeof ref === "number") quantities[ref].returned = [number, line];
    }
  });
  quantities.forEach((q) => {
    if (q.returned && q.returned[0] <= q.made[0]) delete q.returned; // returned after it had its name
  });
  // The steps that a step called, by the line that called them.
  steps.forEach((step) => { step.calls = new Map(); });
  steps.forEach((step, i) => {
    if (step.caller === null) return;
    const calls = steps[step.caller].calls;
    if (!calls.has(step.at)) calls.set(step.at, []);
    calls.get(step.at).push(i);
  });
  lastNames = new Map();
  quantities.forEach((q) => {
    const key = `${q.section}:${shortName(q.name).last}`;
    lastNames.set(key, (lastNames.get(key) || 0) + 1);
  });
  for (const each of onData) each();
}

// The values of parameters come with a page's first pass only: those of a model do not change.
function keepValues(before, after) {
  if (!before || before.model.name !== after.model.name) return;
  for (const [name, parameter] of Object.entries(after.parameters)) {
    const known = before.parameters[name];
    if (known && known.data && !parameter.data) after.parameters[name] = { ...known };
  }
}

takeData(JSON.parse(document.getElementById("data").textContent));

function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "html") element.innerHTML = value; // npbert's own source, escaped
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// ---- values ---------------------------------------------------------------------------------

const halves = new Float32Array(65536); // every float16
for (let bits = 0; bits < 65536; bits++) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent === 31
    ? (fraction ? NaN : Infinity)
    : exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024);
  halves[bits] = bits & 32768 ? -size : size;
}

// How many entries of each axis the page holds: all, or every n-th; of tokens [MASK] and the special
// ones, too, which are then listed in `kept`.
function keptShape(q) {
  if (!q.steps) return q.shape;
  return q.shape.map((length, axis) => (q.kept[axis] ? q.kept[axis].length : Math.ceil(length / q.steps[axis])));
}

// The number of place i among the entries that are held, and the place of a number, or -1.
function numberOfPlace(q, axis, i) {
  if (!q.steps) return i;
  return q.kept[axis] ? q.kept[axis][i] : i * q.steps[axis];
}

function placeOfNumber(q, axis, number) {
  if (!q.steps) return number;
  if (q.kept[axis]) return q.kept[axis].indexOf(number);
  return number % q.steps[axis] ? -1 : number / q.steps[axis];
}

function valuesOf(q) {
  if (q.values) return q.values;
  const bytes = Uint8Array.from(atob(q.data), (character) => character.charCodeAt(0));
  if (q.scale === 0) q.values = new Int32Array(bytes.buffer);
  else q.values = Float32Array.from(new Uint16Array(bytes.buffer), (bits) => halves[bits] * q.scale);
  return q.values;
}

// ---- names and numbers ----------------------------------------------------------------------

// A name in two parts: the path within its section, and the last part.
function shortName(name) {
  const parts = name.split(".");
  let last = parts.pop();
  if (/^\d+$/.test(last) && parts.length) last = `${parts.pop()}.${last}`;
  let place = parts.join(".");
  place = place.replace(/^.*?\.layers?\.\d+\.?/, "").replace(/^(convbert|bert|mobilebert|transformer)\.?/, "");
  return { place, last };
}

// The text of a link to a quantity: its last part, with the path where others have it, too.
function linkName(q) {
  const { place, last } = shortName(q.name);
  const isAlone = lastNames.get(`${q.section}:${last}`) === 1;
  return isAlone || !place ? last : `${place.split(".").slice(/^\d+$/.test(place.split(".").pop()) ? -2 : -1).join(".")}.${last}`;
}

function parameterName(name) {
  return name.replace(/^.*?\.layers?\.\d+\./, "");
}

function shown(number, digits = 3) {
  if (number === null || number === undefined || Number.isNaN(number)) return "–";
  if (Number.isInteger(number) && Math.abs(number) < 1e6) return String(number).replace("-", "−");
  const size = Math.abs(number);
  const text = size >= 1e5 || size < 1e-3
    ? number.toExponential(digits - 1).replace(/e\+?/, "e")
    : size >= 10 ** digits ? number.toFixed(0) : number.toPrecision(digits);
  return text.replace(/-/g, "−");
}

// The shape, each axis as its letter and its length.
function shapeElement(axes, shape, className = "axes") {
  const element = el("span", { class: className });
  element.append("[");
  shape.forEach((length, axis) => {
    if (axis) element.append(", ");
    const letter = axes ? axes[axis] : "";
    const isLetter = letter && !/^\d+$/.test(letter);
    if (isLetter) {
      const meanings = letter.match(/[A-Z]/g).map((each) => (letter === each ? page.legend[each] : `${each} ${page.legend[each]}`));
      element.append(el("abbr", { title: meanings.join("; ") }, letter), " ");
    }
    element.append(el("b", {}, String(length)));
  });
  element.append("]");
  return element;
}

function shapeText(axes, shape) {
  return `[${shape.map((n, i) => (axes && axes[i] && !/^\d+$/.test(axes[i]) ? `${axes[i]} ${n}` : n)).join(", ")}]`;
}
