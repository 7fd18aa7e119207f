// A quantity as a matrix of two of its axes, and that matrix as a picture.

// The head and the sentence that all quantities show, and the token that is followed, or null.
const choice = { head: 0, row: 0, token: null };
const places = new Map(); // "quantity:axis" -> place along an axis that only this quantity has
const turned = new Map(); // name of a quantity -> [axis of the rows, axis of the columns], where chosen

const ALL_TOKENS = "B*T"; // those of all sentences on one axis
const isTokens = (letter) => letter === "T" || letter === ALL_TOKENS || /^T\+/.test(letter);
const letterOf = (q, axis) => (q.axes && q.axes[axis]) || "";

// Which two axes to show: tokens by tokens where there are two, else tokens by channels.
function shownAxes(q) {
  if (turned.has(q.name)) return turned.get(q.name);
  const n = q.shape.length;
  if (n === 0) return [-1, -1];
  if (n === 1) return [-1, 0];
  const tokens = q.shape.map((_, axis) => axis).filter((axis) => isTokens(letterOf(q, axis)));
  if (tokens.length > 1) return [tokens[0], tokens[1]];
  const aside = (axis) => /^(B|H|2\*H|G)$/.test(letterOf(q, axis));
  const largest = (axes) => axes.reduce((a, b) => (q.shape[b] >= q.shape[a] ? b : a));
  if (tokens.length === 1) {
    const others = q.shape.map((_, axis) => axis).filter((axis) => axis !== tokens[0]);
    if (tokens[0] === n - 1) return [largest(others), tokens[0]];
    const after = others.filter((axis) => !aside(axis));
    return [tokens[0], largest(after.length ? after : others)];
  }
  return [n - 2, n - 1];
}

function restAxes(q) {
  const [rows, columns] = shownAxes(q);
  return q.shape.map((_, axis) => axis).filter((axis) => axis !== rows && axis !== columns);
}

function placeOn(q, axis) {
  const letter = letterOf(q, axis);
  const last = keptShape(q)[axis] - 1;
  const wanted = letter === "H" ? choice.head
    : letter === "B" ? choice.row
      : places.get(`${q.name}:${axis}`) || 0;
  return Math.min(wanted, last);
}

function setPlace(q, axis, place) {
  const letter = letterOf(q, axis);
  if (letter === "H") choice.head = place;
  else if (letter === "B") choice.row = place;
  else places.set(`${q.name}:${axis}`, place);
}

// `at`: places along axes, axis -> place, that go before the chosen ones.
function matrixOf(q, at = {}) {
  const shape = keptShape(q);
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const [rowAxis, columnAxis] = shownAxes(q);
  const start = restAxes(q).reduce((sum, axis) => sum + (at[axis] ?? placeOn(q, axis)) * strides[axis], 0);
  const values = valuesOf(q);
  const down = rowAxis < 0 ? 0 : strides[rowAxis];
  const across = columnAxis < 0 ? 0 : strides[columnAxis];
  return {
    rowAxis,
    columnAxis,
    rows: rowAxis < 0 ? 1 : shape[rowAxis],
    columns: columnAxis < 0 ? 1 : shape[columnAxis],
    at: (row, column) => values[start + row * down + column * across],
  };
}

// Draw the matrix, one pixel for an entry, then stretched; masked places stay clear.
function paint(canvas, q, width, height, at) {
  const matrix = matrixOf(q, at);
  const ratio = window.devicePixelRatio || 1;
  const small = document.createElement("canvas");
  small.width = matrix.columns;
  small.height = matrix.rows;
  const image = new ImageData(matrix.columns, matrix.rows);
  const table = tableOf(q);
  for (let row = 0, to = 0; row < matrix.rows; row++) {
    for (let column = 0; column < matrix.columns; column++, to += 4) {
      const value = matrix.at(row, column);
      if (Number.isNaN(value)) continue;
      const from = 4 * colourIndex(q, value);
      image.data[to] = table[from];
      image.data[to + 1] = table[from + 1];
      image.data[to + 2] = table[from + 2];
      image.data[to + 3] = 255;
    }
  }
  small.getContext("2d").putImageData(image, 0, 0);
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = canvas.width < matrix.columns || canvas.height < matrix.rows;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  markFollowed(context, q, matrix);
  return matrix;
}

// A frame around the row, or else the column, of the followed token.
function markFollowed(context, q, matrix) {
  const { width, height } = context.canvas;
  const [row, column] = [followedPlace(q, matrix.rowAxis), followedPlace(q, matrix.columnAxis)];
  if ((row < 0 && column < 0) || width < 50) return; // chips are too small for it
  context.strokeStyle = isDark() ? "#ff8ab3" : "#c2255c"; // --mark
  context.lineWidth = Math.max(1.5, Math.min(3, height / 80));
  const cell = row < 0 ? width / matrix.columns : height / matrix.rows;
  if (row < 0) context.strokeRect(column * cell, 0, cell, height);
  else context.strokeRect(0, row * cell, width, cell);
}

// ---- small ones, drawn when they come into view ---------------------------------------------

const drawn = new Set(); // the canvases in view

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      drawn.add(entry.target);
      drawSmall(entry.target);
    } else drawn.delete(entry.target);
  }
}, { rootMargin: "300px" });

const LABELS = 16; // the most word pieces that are written beside a small heatmap
const SIDE = 50; // pixels for them

function smallSize(q, kind) {
  const shape = keptShape(q);
  const [rowAxis, columnAxis] = shownAxes(q);
  const rows = rowAxis < 0 ? 1 : shape[rowAxis];
  const columns = columnAxis < 0 ? 1 : shape[columnAxis];
  const between = (least, size, most) => Math.round(Math.min(most, Math.max(least, size)));
  if (kind === "chip") return [rows === columns ? 18 : between(10, columns, 44), rows === columns ? 18 : between(8, rows, 18)];
  if (kind === "head") return rows === columns ? [84, 84] : [between(30, 9 * columns, 150), between(10, 5 * rows, 84)];
  const left = hasWords(q, rowAxis) && rows <= LABELS ? SIDE : 0;
  const top = hasWords(q, columnAxis) && columns <= LABELS ? SIDE : 0;
  const cell = rows === columns ? between(1, 130 / rows, 12) : 10;
  return [between(14, columns * cell, 228 - left), between(14, rows * cell, left ? 160 : 120), left, top];
}

// `of`: the number of a quantity, or what has values and axes as one has.
function smallMap(of, kind) {
  const q = typeof of === "number" ? quantities[of] : of;
  const canvas = el("canvas", { class: `map map-${kind}`, "aria-hidden": "true" });
  const [width, height, left, top] = smallSize(q, kind);
  canvas.quantity = q;
  canvas.kind = kind;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  watcher.observe(canvas);
  if (!left && !top) return canvas;
  canvas.left = el("canvas", { class: "left-edge" });
  canvas.top = el("canvas", { class: "top-edge" });
  canvas.left.width = canvas.top.width = 0; // until they are drawn
  return el("span", { class: "labelled", style: `grid-template:${top || 0}px ${height}px / ${left || 0}px ${width}px`, "aria-hidden": "true" },
    el("i", {}), canvas.top, canvas.left, canvas);
}

function drawSmall(canvas) {
  const q = canvas.quantity;
  const [width, height, left, top] = smallSize(q, canvas.kind);
  const matrix = paint(canvas, q, width, height, canvas.at);
  if (!canvas.left) return;
  const ink = getComputedStyle(canvas).color;
  const labels = (axis, count) => Array.from({ length: count }, (_, i) => edgeLabel(q, axis, i));
  if (left) {
    edge(canvas.left, left, height, ink, 9, (context) => {
      context.textAlign = "right";
      eachLabel(labels(matrix.rowAxis, matrix.rows), height, 8, (text, middle) => context.fillText(clipped(context, text, left - 5), left - 4, middle));
    });
  }
  if (top) {
    edge(canvas.top, width, top, ink, 9, (context) => {
      eachLabel(labels(matrix.columnAxis, matrix.columns), width, 8, (text, middle) => upright(context, text, middle, top - 4, top - 5));
    });
  }
}

function redraw() {
  for (const canvas of drawn) {
    if (canvas.isConnected) drawSmall(canvas);
    else drawn.delete(canvas);
  }
}
