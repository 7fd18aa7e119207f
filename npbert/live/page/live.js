// A pass of the reader's own: text, model and head are run in the worker, and everything is drawn anew.

const settings = JSON.parse(document.getElementById("settings").textContent);
const part = (name) => document.getElementById(`live-${name}`);
const engine = makeEngine(settings, JSON.parse(document.getElementById("worker").textContent), (text) => say(text && `${text} …`));

const DELAY = 20; // milliseconds without a key before a pass begins; one that runs is not disturbed
const LONG = 180; // seconds for what always ends; an edit may not, and has `settings.limit`

const asked = { model: page.model.name, head: page.model.class.replace(/^[A-Za-z]*?Bert/, ""), texts: page.texts };
let runs = 0; // the number of the newest pass that was asked for
let isRunning = false;
let timer = 0;

function say(text, failed = false) {
  part("state").textContent = text || "";
  part("state").classList.toggle("failed", failed);
}

// ---- running ---------------------------------------------------------------------------------

function schedule(wait = DELAY) {
  clearTimeout(timer);
  runs += 1;
  timer = setTimeout(run, wait);
}

async function run() {
  if (isRunning) return; // when it is over, the newest wish comes next
  isRunning = true;
  const number = runs;
  const wish = { ...asked, edits, parameters: asked.model !== page.model.name };
  try {
    const started = performance.now();
    const result = await engine.ask("run", wish, { limit: wish.edits.length ? settings.limit : LONG, needs: [wish.model] });
    if (number === runs) {
      receive(result, wish);
      say(result.error ? "" : `run in ${((performance.now() - started) / 1000).toFixed(2)} s, in this browser`);
    }
  } catch (error) {
    if (number === runs) {
      problem = error.isLate && wish.edits.length ? { file: "", line: 0, message: error.message } : null;
      say(`${error.message}. What is shown stays as it was.`, true);
      renderChange();
    }
  }
  isRunning = false;
  if (number !== runs) run();
}

function receive(result, wish) {
  if (result.error) {
    problem = result.error;
    if (!wish.edits.length) { problem = null; say(result.error.message, true); }
    renderChange();
    if (current.section !== null) show();
    return;
  }
  problem = null;
  naming = null;
  fillSelect(part("head"), result.heads, asked.head);
  fillMistakes(result.mistakes);
  renew(result.page, result.answer, result.change);
  if (wish.edits.length) nameEdits(wish);
}

// Draw everything for another pass, at the same place.
function renew(data, answer, change) {
  const name = current.number === null ? "" : quantities[current.number].name;
  const isOpen = current.open;
  unfolded.clear();
  opened.clear();
  turned.clear();
  takeData({ ...data, answer, change });
  current.number = numberOf.get(name) ?? sections.find((section) => section.quantities.length).quantities[0];
  current.section = null;
  current.open = isOpen && numberOf.has(name);
  choice.row = Math.min(choice.row, page.tokens.length - 1);
  choice.token = null;
  document.title = `${page.model.name}: ${page.texts.join(" | ")}`;
  renderHeading();
  renderTokens();
  renderChange();
  arrive(false);
  writeHash(false);
}

async function nameEdits(wish) {
  const number = runs;
  let result;
  try {
    const { parameters, ...rest } = wish;
    result = await engine.ask("name", rest, { limit: LONG, needs: [wish.model] });
  } catch (error) {
    result = { error: error.message };
  }
  if (number !== runs) return;
  naming = result;
  renderChange();
}

async function haveSources() {
  if (sources) return true;
  try {
    const texts = await engine.ask("sources", {}, { limit: LONG });
    sources = Object.fromEntries(Object.entries(texts).map(([file, text]) => [file, text.split("\n")]));
    say("");
  } catch (error) {
    say(`${error.message}. Lines can be changed once Python is there.`, true);
  }
  return sources !== null;
}

function editsChanged() {
  part("undo").disabled = !before.length;
  part("reset").disabled = !isEdited();
  part("mistake").value = "";
  problem = null;
  renderChange();
  writeHash(false);
  schedule(0);
}

// ---- the form --------------------------------------------------------------------------------

function fillSelect(select, names, chosen) {
  select.replaceChildren(...names.map((name) => el("option", { value: name, selected: name === chosen }, name)));
}

function fillMistakes(mistakes) {
  const select = part("mistake");
  select.disabled = !mistakes.length;
  select.replaceChildren(el("option", { value: "" }, "try a classic mistake …"),
    ...mistakes.map((each) => el("option", { value: each.name }, each.about)));
  select.onchange = async () => {
    const one = mistakes.find((each) => each.name === select.value);
    if (one && await haveSources()) setEdits(one.edits);
  };
}

const EXAMPLES = { choices: "It rained all night.\nThe road was gone.\nPrices rise." };

part("text").value = asked.texts.join("\n");
fillSelect(part("model"), Object.keys(settings.models), asked.model);
fillSelect(part("head"), [asked.head], asked.head);

part("text").addEventListener("focus", () => {
  engine.start().then(() => say(""), (error) => say(`${error.message}. The page shows what it was written with.`, true));
}, { once: true });
part("text").addEventListener("input", () => {
  const texts = part("text").value.split("\n").filter((line) => line.trim());
  if (!texts.length) return;
  asked.texts = texts;
  schedule();
});
part("text").addEventListener("keydown", (event) => event.stopPropagation());
part("model").addEventListener("change", () => {
  asked.model = part("model").value;
  asked.head = null; // its own
  const { choices } = settings.models[asked.model];
  if (choices && asked.texts.length < 3) asked.texts = EXAMPLES.choices.split("\n");
  if (!choices && asked.texts.length > 2) asked.texts = asked.texts.slice(0, 2);
  part("text").value = asked.texts.join("\n");
  schedule(0);
});
part("head").addEventListener("change", () => { asked.head = part("head").value; schedule(0); });
part("form").addEventListener("submit", (event) => event.preventDefault());
part("undo").addEventListener("click", undo);
part("reset").addEventListener("click", () => setEdits([]));
part("source").addEventListener("click", () => openFiles());
part("link").addEventListener("click", async () => {
  writeHash(false);
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied.");
  } catch (error) {
    say("The address of this page is the link.");
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "e" || event.metaKey || event.ctrlKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const line = sourcePane.querySelector(".line.now");
  if (!line) return;
  event.preventDefault();
  const [file, number] = line.dataset.place.split(":");
  openLine(line, file, Number(number));
});

// ---- the address -----------------------------------------------------------------------------

const first = JSON.stringify(asked);

inAddress.push(() => {
  const state = { ...asked, edits: offered || edits };
  return JSON.stringify(asked) === first && !state.edits.length ? "" : `live=${encodeURIComponent(JSON.stringify(state))}`;
});

// A link's text and model are run at once; its edits are somebody's code, and wait for the reader.
function readLink() {
  const found = location.hash.slice(1).split("&").find((each) => each.startsWith("live="));
  if (!found) return;
  let state;
  try {
    state = JSON.parse(decodeURIComponent(found.slice(5)));
  } catch (error) { return; }
  const isText = (value) => typeof value === "string";
  if (!state || !settings.models[state.model] || !Array.isArray(state.texts) || !state.texts.every(isText)) return;
  const mine = Array.isArray(state.edits) ? state.edits.filter((each) => Array.isArray(each) && settings.files.includes(each[0])
    && Number.isInteger(each[1]) && (each[2] === null || isText(each[2]))) : [];
  Object.assign(asked, { model: state.model, head: isText(state.head) ? state.head : null, texts: state.texts.slice(0, 10) });
  part("text").value = asked.texts.join("\n");
  fillSelect(part("model"), Object.keys(settings.models), asked.model);
  if (mine.length) {
    offered = mine;
    renderChange();
  }
  schedule(0);
}

readLink();

// For scripts of one's own: the data of what is shown, and the functions of npbert.live.session.
window.npbert = { page: () => page, ask: (call, request) => engine.ask(call, request, { limit: LONG, needs: [request.model] }) };
