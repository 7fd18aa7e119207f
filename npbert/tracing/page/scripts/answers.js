// What the model says, in words, and a token that the reader follows through all layers.

const answerElement = document.getElementById("answer");
const answerOf = (...kinds) => (page.answers || []).find((each) => kinds.includes(each.kind));
const percentOf = (share) => (share > 1 || share < 0 ? shown(share) : percent(share));

// The states that the head was applied to: the embeddings, then each layer's.
const stateName = (i) => (i === 0 ? "embeddings" : `layer ${i - 1}`);

// What is said of a whole row; what is said of tokens stands below each of them.
function renderAnswer() {
  const found = answerOf("spans", "classes");
  answerElement.hidden = !found;
  if (!found) return;
  const row = Math.min(choice.row, page.tokens.length - 1);
  const best = found.layers[found.layers.length - 1][row];
  answerElement.replaceChildren(el("span", { class: "label" }, `The model says of ${found.title}`), saidElement(best));
}

// Words and probabilities, best first, each as wide a bar as it is probable.
function saidElement(said) {
  return el("span", { class: "said-words" }, said.map(([words, share]) => el("span", {
    class: "words", style: `--share:${Math.min(1, Math.max(0.04, share)).toFixed(3)}`,
  }, words, " ", el("small", {}, percentOf(share)))));
}

// The best label of a token, where the model gives each one.
function labelOfToken(row, t) {
  const found = answerOf("labels");
  const said = found && found.layers[found.layers.length - 1][row][t];
  const isWord = !/^\[.*\]$/.test(page.tokens[row][t]);
  return said && isWord && found.title === "labels" ? said[0] : null;
}

// ---- a token through all layers -------------------------------------------------------------

function followToken(t) {
  choice.token = choice.token === t ? null : t;
  writeHash(false);
  renderTokens();
  show();
}

const followed = () => {
  const row = Math.min(choice.row, page.tokens.length - 1);
  return choice.token !== null && choice.token < page.tokens[row].length ? { row, t: choice.token, word: page.tokens[row][choice.token] } : null;
};

// The place of the followed token along an axis of tokens, or -1 where the page does not hold it.
function followedPlace(q, axis) {
  const token = followed();
  if (!token || axis < 0 || !isTokens(letterOf(q, axis))) return -1;
  const T = page.tokens[0].length;
  const number = letterOf(q, axis) === ALL_TOKENS ? token.row * T + token.t : token.t + (q.shape[axis] - T) / 2;
  return placeOfNumber(q, axis, number);
}

// Whether the page holds the followed token's entries of a quantity, or the quantity has none.
const isHeld = (q) => !q.axes || q.axes.every((letter, axis) => letter !== "T" || followedPlace(q, axis) >= 0);

// At the top of the values: what the head says of the token after every layer.
function followedElement() {
  const token = followed();
  if (!token) return null;
  const answers = (page.answers || []).filter((each) => each.kind === "pieces" || each.kind === "labels");
  const name = `${token.word} (token ${token.t})`;
  const table = (answer) => el("table", {},
    el("caption", {}, `What the head says after every layer: ${answer.title}`),
    el("tbody", {}, answer.layers.map((rows, i) => el("tr", {},
      el("th", { scope: "row" }, stateName(i)),
      el("td", {}, rows[token.row][token.t] ? saidElement(rows[token.row][token.t]) : "–")))));
  return el("section", { class: "followed", "aria-label": `Followed: ${name}` },
    el("header", {}, el("h3", {}, `Following ${name}`),
      el("button", { type: "button", class: "quiet", onclick: () => followToken(token.t) }, "stop")),
    el("p", { class: "note" }, quantities.every(isHeld)
      ? "Its row is marked in every quantity, and shown below the picture."
      : `Of this long text the page holds every n-th token, besides ${page.mask} and special ones: not all quantities have this one's row.`),
    answers.map(table));
}

// The followed token's row of a quantity, by itself.
function rowElement(q) {
  const [rows, columns] = shownAxes(q);
  const axis = isTokens(letterOf(q, rows)) ? rows : columns;
  const place = followedPlace(q, axis);
  if (place < 0) return null;
  const matrix = matrixOf(q);
  const count = axis === rows ? matrix.columns : 1;
  const values = Array.from({ length: count }, (_, i) => (axis === rows ? matrix.at(place, i) : matrix.at(0, place)));
  const numbers = values.filter((value) => !Number.isNaN(value));
  if (axis !== rows && matrix.rows > 1) return null;
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
  const text = count === 1 ? shown(values[0]) : `${shown(least)} to ${shown(most)}`;
  return el("span", { class: "row-of" }, el("b", {}, followed().word), " ",
    count > 1 ? stripElement(q, values) : null, el("small", {}, numbers.length ? text : "masked"));
}

function stripElement(q, values) {
  const canvas = el("canvas", { class: "map", "aria-hidden": "true" });
  const table = tableOf(q);
  canvas.width = values.length;
  canvas.height = 1;
  const image = new ImageData(values.length, 1);
  values.forEach((value, i) => {
    if (Number.isNaN(value)) return;
    const from = 4 * colourIndex(q, value);
    image.data.set([table[from], table[from + 1], table[from + 2], 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
