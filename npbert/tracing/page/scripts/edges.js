// The labels along the edges of a heatmap: word pieces, names of labels, numbers.

const font = (size) => `${size}px ui-sans-serif, system-ui, sans-serif`;

// The label of place i of an axis.
function edgeLabel(q, axis, i) {
  if (axis < 0) return "";
  const letter = letterOf(q, axis);
  const number = numberOfPlace(q, axis, i);
  const rows = page.tokens;
  if (letter === ALL_TOKENS) {
    const T = rows[0].length;
    const row = rows[Math.floor(number / T)];
    return row ? row[number % T] : String(number);
  }
  if (isTokens(letter)) {
    const batch = q.axes.indexOf("B");
    const row = rows[batch < 0 || q.shape[batch] === 1 ? Math.min(choice.row, rows.length - 1)
      : axis === batch ? 0 : placeOn(q, batch)] || rows[0];
    const before = (q.shape[axis] - row.length) / 2; // zeros on both sides, in padded ones
    return row[number - before] || "·";
  }
  if (letter === "K") return signed(number - Math.floor(q.shape[axis] / 2)); // taps, from the token
  if (letter === "L" && page.labels.length === q.shape[axis]) return page.labels[number];
  return String(number);
}

const signed = (number) => (number > 0 ? `+${number}` : String(number).replace("-", "−"));

const hasWords = (q, axis) => axis >= 0
  && (isTokens(letterOf(q, axis)) || (letterOf(q, axis) === "L" && page.labels.length > 0));

function edge(canvas, width, height, ink, size, draw) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = font(size);
  context.textBaseline = "middle";
  context.fillStyle = ink;
  draw(context);
}

// Every label, or every n-th where there is no room for all.
function eachLabel(labels, length, room, draw) {
  const size = length / labels.length;
  let every = Math.max(1, Math.ceil(room / size));
  if (every > 1) every = [2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128, 256, 512].find((n) => n >= every) || every;
  labels.forEach((text, i) => { if (i % every === 0) draw(text, (i + 0.5) * size); });
}

function clipped(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > room) end--;
  return `${text.slice(0, end)}…`;
}

// Write from the bottom to the top.
function upright(context, text, x, y, room) {
  context.save();
  context.translate(x, y);
  context.rotate(-Math.PI / 2);
  context.textAlign = "left";
  context.fillText(clipped(context, text, room), 0, 0);
  context.restore();
}
