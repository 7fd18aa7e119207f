// Gives every text of a page whose colour differs too little from what lies behind it (WCAG 2, AA).
const parse = text => {
  const canvas = document.createElement("canvas"); canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.fillStyle = text; context.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
};
const known = new Map();
const colour = text => { if (!known.has(text)) known.set(text, parse(text)); return known.get(text); };
const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const behind = element => {
  if (!element) return [255, 255, 255, 1];
  const own = colour(getComputedStyle(element).backgroundColor);
  return own[3] === 1 ? own : over(own, behind(element.parentElement));
};
const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.03928 ?
  v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
const opacity = element => element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1;
const faded = ([r, g, b, a], by) => [r, g, b, a * by];
const wrong = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join("");
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  if (!own || !box.width || style.visibility !== "visible" || element.closest("svg, [hidden], :disabled, dialog:not([open]), script")) continue;
  const back = behind(element), front = over(faded(colour(style.color), opacity(element)), back);
  const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
  const size = parseFloat(style.fontSize), bold = parseInt(style.fontWeight) >= 700;
  const least = size >= 24 || (size >= 18.66 && bold) ? 3 : 4.5;
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < least) wrong.push(`${ratio.toFixed(2)} ${element.tagName}.${element.className}: ${own.slice(0, 40)}`);
}
return [...new Set(wrong)].slice(0, 20);
