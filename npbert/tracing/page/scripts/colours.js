// The colours of numbers: blue, white and red for signed ones, light to dark for those without a sign.
// Both are straight lines in OKLab, so that equal steps of a value look like equal steps.

function fromOklch(lightness, chroma, hue) {
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((part) => {
    const x = Math.min(1, Math.max(0, part));
    return Math.round(255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055));
  });
}

const STEPS = 257; // an odd number, so that zero has a colour of its own
const darkQuery = window.matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : darkQuery.matches;
}

function makeTable(colour) {
  const table = new Uint8ClampedArray(4 * STEPS);
  for (let i = 0; i < STEPS; i++) table.set([...colour(i / (STEPS - 1)), 255], 4 * i);
  return table;
}

// t runs from 0 to 1; in the diverging ones 0 stands in the middle.
const tables = {
  signed: {
    light: makeTable((t) => {
      const size = Math.abs(2 * t - 1);
      return fromOklch(0.978 - 0.5 * size, 0.17 * size ** 0.9, t < 0.5 ? 256 : 27);
    }),
    dark: makeTable((t) => {
      const size = Math.abs(2 * t - 1);
      return fromOklch(0.235 + 0.55 * size, 0.15 * size ** 0.9, t < 0.5 ? 250 : 30);
    }),
  },
  sizes: {
    light: makeTable((t) => fromOklch(0.978 - 0.6 * t, 0.01 + 0.13 * Math.sin(2.2 * t), 185 + 95 * t)),
    dark: makeTable((t) => fromOklch(0.235 + 0.68 * t, 0.02 + 0.12 * Math.sin(2.6 * t), 285 - 105 * t)),
  },
};

function tableOf(q) {
  return tables[q.signed ? "signed" : "sizes"][isDark() ? "dark" : "light"];
}

// A strip of all colours; it follows the theme, as the canvases do.
function rampElement(q) {
  return el("i", { class: `ramp ${q.signed ? "signed" : "sizes"}` });
}

function setRamps() {
  for (const kind of ["signed", "sizes"]) {
    const table = tableOf({ signed: kind === "signed" });
    const stops = Array.from({ length: 17 }, (_, i) => {
      const from = 4 * Math.round((i / 16) * (STEPS - 1));
      return `rgb(${table[from]}, ${table[from + 1]}, ${table[from + 2]})`;
    });
    document.documentElement.style.setProperty(`--ramp-${kind}`, `linear-gradient(90deg, ${stops.join(", ")})`);
  }
}

function colourIndex(q, value) {
  const t = q.signed ? value / q.limit / 2 + 0.5 : value / q.limit;
  return Math.min(STEPS - 1, Math.max(0, Math.round(t * (STEPS - 1))));
}

function colourOf(q, value) {
  const table = tableOf(q);
  const i = 4 * colourIndex(q, value);
  return [table[i], table[i + 1], table[i + 2]];
}
