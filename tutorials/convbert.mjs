// ConvBERT with all its heads in plain JavaScript: a port, written from its golden kits.
//
//     node convbert.mjs KIT MINE.safetensors
//
// Reads the kit's config, weights and inputs, runs every case, and writes each quantity under the
// name that the kit has for it. No packages; Node 18 or later. Shapes as in the kit's manifest:
// B sentences, T tokens, E embedding width, D hidden width, H heads, S width of a head, A = H*S,
// K kernel width, I feed-forward width, V vocabulary, L labels.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// ---- safetensors: 8 bytes of length, a JSON header, the numbers -------------------------------

const half = (bits) => { // a sign, 5 bits of exponent, 10 of mantissa
  const exponent = (bits >> 10) & 31, mantissa = (bits & 1023) / 1024;
  const size = exponent ? 2 ** (exponent - 15) * (1 + mantissa) : 2 ** -14 * mantissa;
  return bits >> 15 ? -size : size;
};
const NUMBERS = {
  F32: (buffer) => new Float32Array(buffer),
  F16: (buffer) => Float32Array.from(new Uint16Array(buffer), half),
  I64: (buffer) => Array.from(new BigInt64Array(buffer), Number),
};

function readTensors(file) {
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__, ...header } = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [start, end] }] of Object.entries(header)) {
    const part = new Uint8Array(bytes.subarray(8 + length + start, 8 + length + end)); // aligned copy
    if (part.length !== end - start) throw new Error(`${file}: ends within ${name}`);
    if (!NUMBERS[dtype]) throw new Error(`${file}: ${name} is ${dtype}, expected ${Object.keys(NUMBERS)}`);
    tensors[name] = { shape, data: NUMBERS[dtype](part.buffer) };
  }
  return tensors;
}

function writeTensors(file, tensors) {
  const header = {}, parts = [];
  let offset = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const part = new Uint8Array(Float32Array.from(data).buffer);
    header[name] = { dtype: "F32", shape, data_offsets: [offset, (offset += part.length)] };
    parts.push(part);
  }
  let text = JSON.stringify(header);
  text += " ".repeat((8 - (text.length % 8)) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(file, Buffer.concat([length, Buffer.from(text), ...parts]));
}

// ---- operations: a tensor is { shape, data }, the last axis fastest; numbers are float32 ------

const tensor = (shape, f) => {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < data.length; i++) data[i] = f(i);
  return { shape, data };
};
const map = (x, f) => tensor(x.shape, (i) => f(x.data[i], i));
const add = (x, y) => map(x, (value, i) => value + y.data[i]);
const last = (x) => x.shape[x.shape.length - 1];

// x [..., I], weight [O, I] -> [..., O]
function linear(x, weight, bias) {
  const I = last(x), O = bias.data.length;
  return tensor([...x.shape.slice(0, -1), O], (i) => {
    const row = Math.floor(i / O) * I, o = i % O;
    let sum = bias.data[o];
    for (let k = 0; k < I; k++) sum += x.data[row + k] * weight.data[o * I + k];
    return sum;
  });
}

// x [..., I], weight [G, I/G, O/G] -> [..., O]: each group of channels has a matrix of its own
function groupedLinear(x, weight, bias) {
  const I = last(x), O = bias.data.length, [, inner, outer] = weight.shape;
  return tensor([...x.shape.slice(0, -1), O], (i) => {
    const row = Math.floor(i / O) * I, o = i % O, g = Math.floor(o / outer);
    let sum = bias.data[o];
    for (let k = 0; k < inner; k++)
      sum += x.data[row + g * inner + k] * weight.data[(g * inner + k) * outer + (o % outer)];
    return sum;
  });
}

function layerNorm(x, weight, bias, epsilon) {
  const D = last(x), out = tensor(x.shape, () => 0);
  for (let row = 0; row < x.data.length; row += D) {
    let mean = 0, variance = 0;
    for (let d = 0; d < D; d++) mean += x.data[row + d] / D;
    for (let d = 0; d < D; d++) variance += (x.data[row + d] - mean) ** 2 / D;
    for (let d = 0; d < D; d++) {
      const normal = (x.data[row + d] - mean) / Math.sqrt(variance + epsilon);
      out.data[row + d] = normal * weight.data[d] + bias.data[d];
    }
  }
  return out;
}

function softmax(x) {
  const N = last(x), out = tensor(x.shape, () => 0);
  for (let row = 0; row < x.data.length; row += N) {
    let most = -Infinity, sum = 0;
    for (let n = 0; n < N; n++) most = Math.max(most, x.data[row + n]);
    for (let n = 0; n < N; n++) sum += Math.exp(x.data[row + n] - most);
    for (let n = 0; n < N; n++) out.data[row + n] = Math.exp(x.data[row + n] - most) / sum;
  }
  return out;
}

// The error function by its Maclaurin series, which is exact enough in double precision up to 4.
function erf(x) {
  if (Math.abs(x) > 4) return Math.sign(x);
  let term = x, sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
const gelu = (x) => map(x, (value) => 0.5 * value * (1 + erf(value / Math.SQRT2)));

// ---- ConvBERT -----------------------------------------------------------------------------------

function run(architecture, config, weights, inputs, record) {
  const body = architecture === "ConvBertModel" ? "" : "convbert."; // before the names of the encoder
  const T = last(inputs.input_ids), B = inputs.input_ids.data.length / T; // choices are sentences, too
  const D = config.hidden_size, H = Math.max(1, Math.floor(config.num_attention_heads / config.head_ratio));
  const K = config.conv_kernel_size, S = Math.floor(D / H / 2), A = H * S;
  const positions = Array.from({ length: B * T }, (_, i) => i % T);
  const zeros = Array(B * T).fill(0), ones = Array(B * T).fill(1);
  const attended = (inputs.attention_mask ?? { data: ones }).data;
  const norm = (x, path) =>
    layerNorm(x, weights[`${path}.weight`], weights[`${path}.bias`], config.layer_norm_eps);
  const module = (path, x) => record(path, linear(x, weights[`${path}.weight`], weights[`${path}.bias`]));

  function rows(path, ids) { // [B, T] -> [B, T, E]
    const table = weights[`${path}.weight`], E = table.shape[1];
    return tensor([B, T, E], (i) => table.data[ids[Math.floor(i / E)] * E + (i % E)]);
  }

  function attend(path, query, key, value) { // [B, T, A] -> [B, T, H, S]
    const scores = record(`${path}.scores`, tensor([B, H, T, T], (i) => {
      const [b, h, t, u] = [Math.floor(i / (H * T * T)), Math.floor(i / (T * T)) % H, Math.floor(i / T) % T, i % T];
      let sum = 0;
      for (let s = 0; s < S; s++)
        sum += query.data[(b * T + t) * A + h * S + s] * key.data[(b * T + u) * A + h * S + s];
      return sum / Math.sqrt(S);
    }));
    const masked = map(scores, (score, i) => // added, so that a wholly masked row stays finite
      attended[Math.floor(i / (H * T * T)) * T + (i % T)] ? score : -3.4028234663852886e38);
    const probs = record(`${path}.probs`, softmax(masked));
    return record(`${path}.context`, tensor([B, T, H, S], (i) => {
      const [b, t, h, s] = [Math.floor(i / (T * A)), Math.floor(i / A) % T, Math.floor(i / S) % H, i % S];
      let sum = 0;
      for (let u = 0; u < T; u++)
        sum += probs.data[((b * H + h) * T + t) * T + u] * value.data[(b * T + u) * A + h * S + s];
      return sum;
    }));
  }

  function spanSummary(path, x) { // [B, T, D] -> [B, T, A]: depthwise over K tokens, then pointwise
    const taps = weights[`${path}.depthwise.weight`], half = (K - 1) / 2; // [D, 1, K]
    const span = record(`${path}.span`, tensor([B, T, D], (i) => {
      const [b, t, d] = [Math.floor(i / (T * D)), Math.floor(i / D) % T, i % D];
      let sum = 0;
      for (let k = 0; k < K; k++) {
        const u = t + k - half; // past the ends stand zeros; padding inside is no end
        if (u >= 0 && u < T) sum += x.data[(b * T + u) * D + d] * taps.data[d * K + k];
      }
      return sum;
    }));
    return record(path, linear(span, weights[`${path}.pointwise.weight`], weights[`${path}.bias`]));
  }

  function dynamicConvolution(values, filters) { // [B, T, A], [B, T, H, K] -> [B, T, H, S]
    return tensor([B, T, H, S], (i) => {
      const [b, t, h, s] = [Math.floor(i / (T * A)), Math.floor(i / A) % T, Math.floor(i / S) % H, i % S];
      let sum = 0;
      for (let k = 0; k < K; k++) {
        const u = t + k - (K - 1) / 2;
        if (u >= 0 && u < T)
          sum += values.data[(b * T + u) * A + h * S + s] * filters.data[((b * T + t) * H + h) * K + k];
      }
      return sum;
    });
  }

  function mixedAttention(path, x) { // [B, T, D] -> [B, T, D]
    const [query, key, value] = ["query", "key", "value"].map((name) => module(`${path}.${name}`, x));
    const far = attend(`${path}.attend`, query, key, value);
    const local = module(`${path}.conv_out_layer`, x);
    const summary = spanSummary(`${path}.key_conv_attn_layer`, x);
    const scores = module(`${path}.conv_kernel_layer`, map(summary, (y, i) => y * query.data[i]));
    const filters = record(`${path}.filters`, softmax({ shape: [B, T, H, K], data: scores.data }));
    const near = record(`${path}.near`, dynamicConvolution(local, filters));
    return record(path, tensor([B, T, 2 * A], (i) => { // attention heads first, then convolution's
      const row = Math.floor(i / (2 * A)) * A, a = i % (2 * A);
      return a < A ? far.data[row + a] : near.data[row + a - A];
    }));
  }

  function layer(path, x) { // [B, T, D] -> [B, T, D]
    const mixed = mixedAttention(`${path}.attention.self`, x);
    const after = `${path}.attention.output`;
    x = record(`${after}.LayerNorm`, norm(add(x, module(`${after}.dense`, mixed)), `${after}.LayerNorm`));
    const transform = config.num_groups > 1 ? groupedLinear : linear;
    const [first, second] = [`${path}.intermediate.dense`, `${path}.output.dense`];
    const entered = record(first, transform(x, weights[`${first}.weight`], weights[`${first}.bias`]));
    const wide = record(`${path}.wide`, gelu(entered));
    const narrow = record(second, transform(wide, weights[`${second}.weight`], weights[`${second}.bias`]));
    return record(`${path}.output.LayerNorm`, norm(add(x, narrow), `${path}.output.LayerNorm`));
  }

  const embedded = `${body}embeddings`;
  const words = rows(`${embedded}.word_embeddings`, inputs.input_ids.data);
  const places = rows(`${embedded}.position_embeddings`, inputs.position_ids?.data ?? positions);
  const types = rows(`${embedded}.token_type_embeddings`, inputs.token_type_ids?.data ?? zeros);
  const sum = add(add(words, places), types);
  let x = record(`${embedded}.LayerNorm`, norm(sum, `${embedded}.LayerNorm`));
  if (config.embedding_size !== D) x = module(`${body}embeddings_project`, x);
  for (let i = 0; i < config.num_hidden_layers; i++) x = layer(`${body}encoder.layer.${i}`, x);

  // [B, T, D] -> [B, D]
  const at = (t) => tensor([B, D], (i) => x.data[(Math.floor(i / D) * T + t) * D + (i % D)]);
  const column = (y, which) => tensor([B, T], (i) => y.data[2 * i + which]); // [B, T, 2] -> [B, T]
  const tanh = (y) => map(y, Math.tanh);
  const heads = {
    ConvBertModel() {},
    ConvBertForMaskedLM() { // [B, T, D] -> [B, T, V]
      const path = "generator_predictions";
      const activated = record("activated", gelu(module(`${path}.dense`, x)));
      const transformed = record(`${path}.LayerNorm`, norm(activated, `${path}.LayerNorm`));
      const table = weights[`${body}embeddings.word_embeddings.weight`]; // tied
      record("generator_lm_head", linear(transformed, table, weights["generator_lm_head.bias"]));
    },
    ConvBertForSequenceClassification() { // [B, T, D] -> [B, L]
      const activated = record("classifier.activated", gelu(module("classifier.dense", at(0))));
      module("classifier.out_proj", activated);
    },
    ConvBertForMultipleChoice() { // [Q*N, T, D] -> [Q, N]
      const summary = record("summary", at(T - 1)); // the last position, padding included
      const scores = module("classifier", config.summary_activation === "tanh" ? tanh(summary) : summary);
      record("logits", { shape: inputs.input_ids.shape.slice(0, 2), data: scores.data });
    },
    ConvBertForTokenClassification() { // [B, T, D] -> [B, T, L]
      module("classifier", x);
    },
    ConvBertForQuestionAnswering() { // [B, T, D] -> [B, T], twice
      const both = module("qa_outputs", x);
      record("start_logits", column(both, 0));
      record("end_logits", column(both, 1));
    },
  };
  if (!heads[architecture]) throw new Error(`${architecture}: expected ${Object.keys(heads).join(", ")}`);
  heads[architecture]();
}

// ---- every case of the kit ----------------------------------------------------------------------

const [kit, mine] = process.argv.slice(2);
if (!mine) {
  console.error("usage: node convbert.mjs KIT MINE.safetensors");
  process.exit(2);
}
const manifest = JSON.parse(readFileSync(join(kit, "manifest.json"), "utf8"));
const weights = readTensors(join(kit, manifest.weights)); // those of a trained model lie elsewhere
const inputs = readTensors(join(kit, "inputs.safetensors"));
const results = {};
for (const { name } of manifest.cases) {
  const own = Object.entries(inputs).filter(([key]) => key.startsWith(`${name}/`));
  const byArgument = Object.fromEntries(own.map(([key, value]) => [key.slice(name.length + 1), value]));
  const record = (path, x) => (results[`${name}/${path}`] = x);
  run(manifest.architecture, manifest.config, weights, byArgument, record);
}
writeTensors(mine, results);
