// What a reader has made of the source: edits of single lines, undone one by one, and where they show.

let sources = null; // file -> its lines as they ship; there once the engine is
let edits = []; // [file, line, text]: text is what stands in the place of a line, null where it was removed
const before = []; // what `edits` was, to be undone
let problem = null; // what is wrong with the last run: { message, file, line }

const isEdited = () => edits.length > 0;

function setEdits(next) {
  before.push(edits);
  edits = tidied(next);
  editsChanged();
}

function undo() {
  if (!before.length) return;
  edits = before.pop();
  editsChanged();
}

// Without edits that change nothing, one for a line, in order.
function tidied(some) {
  const last = new Map(some.map((edit) => [`${edit[0]}:${edit[1]}`, edit]));
  return [...last.values()]
    .filter(([file, line, text]) => !sources || !sources[file] || sources[file][line - 1] !== text)
    .sort(([a, i], [b, j]) => (a < b ? -1 : a > b ? 1 : i - j));
}

// The lines of a file as they stand now: each with the line it comes from, and its place in the edit.
function linesNow(file) {
  const mine = new Map(edits.filter((edit) => edit[0] === file).map(([, line, text]) => [line, text]));
  return sources[file].flatMap((text, i) => {
    const now = mine.has(i + 1) ? mine.get(i + 1) : text;
    return now === null ? [] : now.split("\n").map((part, at) => ({ text: part, line: i + 1, at }));
  });
}

// Give a line, by its number as the file stands now, another text.
function editLine(file, number, text) {
  const all = linesNow(file);
  const { line } = all[number - 1];
  const whole = all.filter((each) => each.line === line).map((each) => (each === all[number - 1] ? text : each.text)).join("\n");
  setEdits([...edits.filter(([f, l]) => f !== file || l !== line), [file, line, whole]]);
}

// The edits that make a file another text: line by line where there are as many, else one piece.
function editsFor(file, text) {
  const old = sources[file];
  const now = text.split("\n");
  if (old.length === now.length) {
    return now.flatMap((line, i) => (line === old[i] ? [] : [[file, i + 1, line]]));
  }
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start++;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old[old.length - 1 - end] === now[now.length - 1 - end]) end++;
  const middle = now.slice(start, now.length - end);
  const gone = old.length - end - start;
  if (!gone) {
    const at = Math.max(0, start - 1); // nothing is gone: the new lines join the one before
    return [[file, at + 1, (start ? [old[at], ...middle] : [...middle, old[at]]).join("\n")]];
  }
  return Array.from({ length: gone }, (_, i) => [file, start + i + 1, i ? null : middle.length ? middle.join("\n") : null]);
}

// ---- in the source pane ----------------------------------------------------------------------

onLine.push((element, f, line) => {
  if (!settings.files.includes(f.file)) return;
  const code = element.querySelector("code");
  const pencil = el("button", {
    type: "button", class: "pencil", tabindex: "-1", title: "Change this line (e)", "aria-label": `Change line ${line}`,
    onclick: (event) => { event.stopPropagation(); openLine(element, f.file, line); },
  }, "✎");
  element.append(pencil);
  code.addEventListener("dblclick", (event) => { event.stopPropagation(); openLine(element, f.file, line); });
  element.dataset.place = `${f.file}:${line}`;
  const mine = page.change && page.change.lines[f.file];
  if (mine && mine.includes(line)) element.classList.add("edited");
  if (problem && problem.file === f.file && problem.line === line) {
    element.classList.add("wrong");
    element.append(el("p", { class: "wrong-note", role: "alert" }, problem.message));
  }
});

async function openLine(element, file, line) {
  if (element.querySelector(".line-edit")) return;
  if (!(await haveSources())) return;
  const now = linesNow(file)[line - 1];
  if (!now) return;
  const code = element.querySelector("code");
  let isOver = false;
  const close = (take) => {
    if (isOver) return;
    isOver = true;
    const text = area.value.replace(/\r/g, "");
    area.remove();
    code.hidden = false;
    if (take && text !== now.text) editLine(file, line, text);
  };
  const area = el("textarea", {
    class: "line-edit", rows: String(1 + Math.floor(now.text.length / 70)), spellcheck: "false",
    "aria-label": `${file}, line ${line}: Enter runs it, Escape leaves it as it is`,
    onkeydown: (event) => {
      event.stopPropagation();
      if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); close(true); }
      if (event.key === "Escape") { event.preventDefault(); close(false); }
    },
    onblur: () => close(true),
    onclick: (event) => event.stopPropagation(),
  });
  area.value = now.text;
  code.hidden = true;
  code.after(area);
  area.focus();
}

// ---- whole files -----------------------------------------------------------------------------

const files = document.getElementById("live-files");

async function openFiles(file = settings.files[0]) {
  if (!(await haveSources())) return;
  const area = el("textarea", { class: "file-edit", spellcheck: "false", wrap: "off", "aria-label": "The text of the file" });
  const select = el("select", { "aria-label": "File", onchange: () => fill() }, settings.files.map((each) => el("option", { value: each, selected: each === file }, each)));
  const fill = () => { area.value = linesNow(select.value).map((each) => each.text).join("\n"); };
  const apply = () => {
    const mine = editsFor(select.value, area.value.replace(/\r/g, ""));
    files.close();
    setEdits([...edits.filter((edit) => edit[0] !== select.value), ...mine]);
  };
  files.replaceChildren(
    el("header", {}, el("h2", { id: "files-name" }, "The source, as a whole"), select,
      el("button", { type: "button", "aria-label": "Close (Esc)", onclick: () => files.close() }, "✕")),
    area,
    el("p", {}, el("button", { type: "button", class: "strong", onclick: apply }, "Run it"),
      " Every line of the files that hold the mathematics can be changed; lines may come and go."));
  fill();
  files.showModal();
}
