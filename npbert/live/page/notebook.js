// A chapter whose cells run in the page: one button starts it; then every cell can be changed and run.

const here = new URL(".", document.currentScript.src).href;
const LIMIT = 120; // seconds that a cell may take
const cellElements = [...document.querySelectorAll("div.cell")].filter((cell) => cell.querySelector(".cell_input pre"));

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

let doing = ""; // what is said while cells run
const state = make("span", { class: "live-state", role: "status" });
const begin = make("button", { type: "button", class: "live-begin", onclick: () => start() }, "Run this chapter here");
const bar = make("p", { class: "live-bar" }, begin, " ", state);
const engine = makeEngine({
  ...settings,
  engine: new URL(settings.engine, here).href,
  npbert: here + settings.npbert,
  weights: here + settings.weights,
  more: settings.more.map((each) => here + each),
}, workerSource, (text) => { state.textContent = text ? `${text} …` : doing; });

const cells = cellElements.map((element, number) => ({ element, number, source: element.querySelector(".cell_input pre").textContent.replace(/\n$/, ""), hasRun: false }));

if (cells.length) {
  const title = document.querySelector("article h1");
  if (title) title.after(bar);
}

async function start() {
  begin.disabled = true;
  try {
    await engine.start();
  } catch (error) {
    state.textContent = `${error.message}. The chapter stays as it is; it can be tried again.`;
    begin.disabled = false;
    return;
  }
  begin.remove();
  cells.forEach(open);
  bar.prepend(make("button", { type: "button", onclick: () => runTo(cells.length - 1) }, "Run all cells"), " ",
    make("button", { type: "button", onclick: restart }, "Start anew"), " ");
  state.textContent = "Python is here. Change a cell; Shift+Enter, or the button beside it, runs it and those before it.";
}

// Let a cell be changed: its text in a box, and a button.
function open(cell) {
  const input = cell.element.querySelector(".cell_input");
  const rows = cell.source.split("\n").length;
  cell.box = make("textarea", {
    class: "live-cell", spellcheck: "false", rows: String(rows), "aria-label": `Cell ${cell.number + 1}`,
    oninput: () => { cell.hasRun = false; cell.box.rows = cell.box.value.split("\n").length; },
    onkeydown: (event) => {
      if (event.key === "Enter" && event.shiftKey) { event.preventDefault(); run(cell); }
    },
  });
  cell.box.value = cell.source;
  const button = make("button", { type: "button", class: "live-run", onclick: () => run(cell) }, "Run");
  const back = make("button", { type: "button", class: "live-run", title: "As it was", onclick: () => { cell.box.value = cell.source; cell.hasRun = false; } }, "↺");
  input.replaceChildren(cell.box, button, " ", back);
}

async function run(cell) {
  cell.hasRun = false;
  await runTo(cell.number);
}

let isRunning = false;
const wanted = []; // the cells that were asked for while others run

// Run every cell up to this one that has not run as it stands.
async function runTo(last) {
  wanted.push(last);
  if (isRunning) return;
  isRunning = true;
  while (wanted.length) {
    for (const cell of cells.slice(0, wanted.shift() + 1)) {
      if (!cell.hasRun && !(await runOne(cell))) break;
    }
  }
  isRunning = false;
}

async function runOne(cell) {
  doing = `cell ${cell.number + 1} is running …`;
  state.textContent = doing;
  const source = cell.box.value;
  const names = modelsIn(source);
  for (const [task, name] of Object.entries(settings.defaults)) if (source.includes(`${task}(`)) names.push(name);
  let found;
  try {
    found = await engine.ask("cell", { source, number: cell.number }, { module: "notebook", limit: LIMIT, needs: names });
  } catch (error) {
    for (const each of cells) if (!engine.isStarted()) each.hasRun = false;
    found = { outputs: [{ kind: "error", data: error.message }] };
  }
  const outputs = found.error ? [{ kind: "error", data: found.error.message }] : found.outputs;
  const isGood = !outputs.some((each) => each.kind === "error");
  cell.hasRun = isGood && cell.box.value === source; // it may have been changed meanwhile
  show(cell, outputs);
  doing = "";
  state.textContent = doing;
  return isGood;
}

// The checkpoints that a source names in a string or a path, or in one with places to fill in: f"{family}-tiny".
function modelsIn(source) {
  const texts = [...source.matchAll(/(["'])((?:[\w./-]|{[^{}"'\n]*})+)\1/g)]
    .flatMap((match) => match[2].replace(/{[^{}]*}/g, "{}").split("/"));
  const patterns = texts.filter((text) => text.includes("-"))
    .map((text) => new RegExp(`^${text.replace(/\./g, "\\.").replace(/{}/g, ".*")}$`));
  return Object.keys(settings.models).filter((name) => patterns.some((pattern) => pattern.test(name)));
}

function show(cell, outputs) {
  let place = cell.element.querySelector(".cell_output");
  if (!place) {
    place = make("div", { class: "cell_output docutils container" });
    cell.element.append(place);
  }
  place.classList.add("live-output");
  place.replaceChildren(...outputs.map(outputElement));
}

function outputElement({ kind, data }) {
  if (kind === "png") return make("img", { src: `data:image/png;base64,${data}`, alt: "What the cell draws" });
  if (kind === "html" || kind === "svg") return safe(data);
  if (kind === "absent") return make("p", { class: "live-absent" }, data);
  return make("pre", { class: kind === "error" ? "live-error" : "output" }, data);
}

// Markup that a cell shows, without anything in it that runs or fetches.
function safe(markup) {
  const read = new DOMParser().parseFromString(markup, "text/html");
  read.querySelectorAll("script, iframe, object, embed, link, meta, base, form, style").forEach((each) => each.remove());
  for (const each of read.querySelectorAll("*")) {
    for (const { name, value } of [...each.attributes]) {
      const leads = /^(src|href|xlink:href|srcset|action|formaction)$/.test(name) && !/^(data:image\/|#)/.test(value);
      if (name.startsWith("on") || leads) each.removeAttribute(name);
    }
  }
  return make("div", {}, ...read.body.childNodes);
}

async function restart() {
  for (const cell of cells) cell.hasRun = false;
  await engine.ask("restart", {}, { module: "notebook", limit: LIMIT });
  state.textContent = "Nothing has run yet.";
}
