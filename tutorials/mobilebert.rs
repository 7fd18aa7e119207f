//! MobileBERT with all its heads in Rust: a port, written from the page on golden kits and a kit.
//!
//!     rustc -O --edition 2021 mobilebert.rs
//!     ./mobilebert KIT MINE.safetensors
//!
//! Reads the kit's config, weights and inputs, runs every case, and writes each quantity under the
//! name that the kit has for it. No crates; Rust 1.63 or later. Shapes as in the kit's manifest:
//! B sentences, T tokens, V vocabulary, E embedding width, D hidden width between layers, C width
//! within a layer, H heads, S width of a head, C = H*S, I feed-forward width, L labels.
#![allow(non_snake_case)] // the letters of the axes

use std::collections::HashMap;
use std::{env, fs, process};

type Result<T> = std::result::Result<T, String>;

// ---- JSON, as what it holds: "config.hidden_size" -> "8", "NAME.shape.0" -> "2" ---------------------

type Table = HashMap<String, String>;

/// Put the value that `rest` begins with into `found`, under its path, and step behind it.
fn read_json(rest: &mut &str, path: &str, found: &mut Table) -> Result<()> {
    *rest = rest.trim_start();
    if !rest.starts_with(['{', '[']) {
        found.insert(path.into(), read_word(rest)?);
        return Ok(());
    }
    let is_table = rest.starts_with('{');
    let mut count = 0;
    *rest = rest[1..].trim_start();
    while !rest.starts_with(['}', ']']) {
        let mut name = count.to_string();
        if is_table {
            name = read_word(rest)?;
            *rest = rest.trim_start().strip_prefix(':').ok_or(format!("JSON: no colon behind {name}"))?;
        }
        let dot = if path.is_empty() { "" } else { "." };
        read_json(rest, &format!("{path}{dot}{name}"), found)?;
        *rest = rest.trim_start();
        *rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        count += 1;
    }
    *rest = &rest[1..];
    Ok(())
}

/// A text without its quotes, its escapes as they are, or a number, true, false, null.
fn read_word(rest: &mut &str) -> Result<String> {
    let quoted = rest.strip_prefix('"');
    let (word, behind) = if let Some(quoted) = quoted {
        let mut escaped = false;
        let end = quoted.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let end = end.ok_or("JSON: a text does not end")?;
        (&quoted[..end], &quoted[end + 1..])
    } else {
        let end = rest.find([',', ':', ']', '}', ' ', '\n']).unwrap_or(rest.len());
        (&rest[..end], &rest[end..])
    };
    if quoted.is_none() && word.is_empty() {
        return Err(format!("JSON: a value is missing {} bytes before the end", rest.len()));
    }
    *rest = behind;
    Ok(word.into())
}

fn parse(mut text: &str) -> Result<Table> {
    let mut found = Table::new();
    read_json(&mut text, "", &mut found)?;
    Ok(found)
}

fn get<'a>(table: &'a Table, name: &str) -> Result<&'a str> {
    table.get(name).map(String::as_str).ok_or(format!("JSON: no {name}"))
}

fn number<T: std::str::FromStr>(table: &Table, name: &str) -> Result<T> {
    let word = get(table, name)?;
    word.parse().map_err(|_| format!("JSON: {name} is {word}, expected a number"))
}

// ---- tensors, and their files: 8 bytes of length, a JSON header, the numbers ----------------------

#[derive(Clone, Default)]
struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>, // the last axis fastest
}

impl Tensor {
    fn new(shape: &[usize], f: impl FnMut(usize) -> f32) -> Tensor {
        let size = shape.iter().product();
        Tensor { shape: shape.to_vec(), data: (0..size).map(f).collect() }
    }

    fn last(&self) -> usize {
        *self.shape.last().unwrap_or(&1)
    }

    fn map(&self, f: impl Fn(f32) -> f32) -> Tensor {
        Tensor::new(&self.shape, |i| f(self.data[i]))
    }

    fn plus(&self, other: &Tensor) -> Tensor {
        Tensor::new(&self.shape, |i| self.data[i] + other.data[i])
    }

    /// The same numbers in the same order.
    fn reshaped(&self, shape: &[usize]) -> Tensor {
        Tensor { shape: shape.to_vec(), data: self.data.clone() }
    }

    /// [..., N] -> [..., to - from]
    fn channels(&self, from: usize, to: usize) -> Tensor {
        let mut shape = self.shape.clone();
        *shape.last_mut().unwrap() = to - from;
        let rows = self.data.chunks(self.last());
        Tensor { shape, data: rows.flat_map(|row| row[from..to].to_vec()).collect() }
    }
}

/// A sign, 5 bits of exponent, 10 of mantissa.
fn from_half(bits: u16) -> f32 {
    let (exponent, mantissa) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let size = match exponent {
        0 => mantissa * 2f32.powi(-24),
        31 if mantissa > 0.0 => f32::NAN,
        31 => f32::INFINITY,
        _ => (mantissa + 1024.0) * 2f32.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

fn read_tensors(path: &str) -> Result<HashMap<String, Tensor>> {
    let broken = || format!("{path}: no safetensors file, or a damaged one");
    let bytes = fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let length = u64::from_le_bytes(bytes.get(..8).ok_or_else(broken)?.try_into().unwrap());
    let behind = usize::try_from(length).ok().and_then(|n| n.checked_add(8)).ok_or_else(broken)?;
    let header = String::from_utf8_lossy(bytes.get(8..behind).ok_or_else(broken)?);
    let table = parse(&header)?;
    let mut tensors = HashMap::new();
    for name in table.keys().filter_map(|key| key.strip_suffix(".dtype")) {
        let mut shape = vec![];
        while table.contains_key(&format!("{name}.shape.{}", shape.len())) {
            shape.push(number(&table, &format!("{name}.shape.{}", shape.len()))?);
        }
        let start: usize = number(&table, &format!("{name}.data_offsets.0"))?;
        let end: usize = number(&table, &format!("{name}.data_offsets.1"))?;
        let part = bytes[behind..].get(start..end).ok_or_else(broken)?;
        let data: Vec<f32> = match get(&table, &format!("{name}.dtype"))? {
            "F16" => part.chunks_exact(2).map(|b| from_half(u16::from_le_bytes([b[0], b[1]]))).collect(),
            "F32" => part.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
            // Ids, which are small
            "I64" => part.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32).collect(),
            other => return Err(format!("{path}: {name} is {other}, expected F16, F32 or I64")),
        };
        if data.len() != shape.iter().product::<usize>() {
            return Err(broken());
        }
        tensors.insert(name.into(), Tensor { shape, data });
    }
    Ok(tensors)
}

fn write_tensors(path: &str, tensors: &[(String, Tensor)]) -> Result<()> {
    let (mut entries, mut numbers) = (vec![], vec![]);
    for (name, Tensor { shape, data }) in tensors {
        let start = numbers.len();
        numbers.extend(data.iter().flat_map(|number| number.to_le_bytes()));
        let end = numbers.len();
        entries.push(format!(
            "{name:?}:{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}"
        ));
    }
    let mut header = format!("{{{}}}", entries.join(","));
    header += &" ".repeat((8 - header.len() % 8) % 8); // so that the numbers are aligned
    let length = (header.len() as u64).to_le_bytes();
    let bytes = [&length[..], header.as_bytes(), &numbers].concat();
    fs::write(path, bytes).map_err(|error| format!("{path}: {error}"))
}

// ---- operations: each records what it gives, under the path of the module that it is --------------

struct Model {
    heads: usize,
    layers: usize,
    feed_forwards: usize, // in each layer
    normalises: bool,     // else the norms only scale and shift
    bottleneck_attention: bool,
    epsilon: f32,
    weights: HashMap<String, Tensor>,
    inputs: HashMap<String, Tensor>,
    body: &'static str, // "mobilebert." where the model has a head: its body's path
    case: String,       // that is run at present
    results: Vec<(String, Tensor)>,
}

impl Model {
    fn record(&mut self, path: &str, x: Tensor) -> Tensor {
        self.results.push((format!("{}/{path}", self.case), x.clone()));
        x
    }

    fn parameter(&self, name: &str) -> Result<&Tensor> {
        self.weights.get(name).ok_or(format!("the weights have no {name}"))
    }

    /// x [..., I] -> [..., O]
    fn linear(&mut self, path: &str, x: &Tensor) -> Result<Tensor> {
        let weight = self.parameter(&format!("{path}.weight"))?;
        let y = multiply(x, weight, self.parameter(&format!("{path}.bias"))?)?;
        Ok(self.record(path, y))
    }

    /// Scale and shift every channel; normalise before, where the config says so.
    fn norm(&mut self, path: &str, x: &Tensor, epsilon: f32) -> Result<Tensor> {
        if self.normalises {
            return self.layer_norm(path, x, epsilon);
        }
        let weight = &self.parameter(&format!("{path}.weight"))?.data;
        let bias = &self.parameter(&format!("{path}.bias"))?.data;
        let y = Tensor::new(&x.shape, |i| x.data[i] * weight[i % x.last()] + bias[i % x.last()]);
        Ok(self.record(path, y))
    }

    fn layer_norm(&mut self, path: &str, x: &Tensor, epsilon: f32) -> Result<Tensor> {
        let weight = &self.parameter(&format!("{path}.weight"))?.data;
        let bias = &self.parameter(&format!("{path}.bias"))?.data;
        let mut y = x.clone();
        for row in y.data.chunks_mut(x.last()) {
            let size = row.len() as f32;
            let mean = row.iter().sum::<f32>() / size;
            let variance = row.iter().map(|n| (n - mean).powi(2)).sum::<f32>() / size;
            for (i, n) in row.iter_mut().enumerate() {
                *n = (*n - mean) / (variance + epsilon).sqrt() * weight[i] + bias[i];
            }
        }
        Ok(self.record(path, y))
    }

    /// ids [B, T] -> [B, T, E]
    fn rows(&mut self, name: &str, table: &str, ids: &Tensor) -> Result<Tensor> {
        let weight = self.parameter(&format!("{table}.weight"))?;
        let mut y = Tensor { shape: [&ids.shape[..], &[weight.last()]].concat(), data: vec![] };
        for id in &ids.data {
            let row = weight.data.chunks(weight.last()).nth(*id as usize);
            y.data.extend(row.ok_or(format!("{table} has no row {id}"))?);
        }
        Ok(self.record(name, y))
    }
}

/// x [..., I], weight [O, I] -> [..., O]
fn multiply(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let (inner, outer) = (x.last(), bias.data.len());
    if weight.shape != [outer, inner] {
        return Err(format!("a weight is {:?}, expected [{outer}, {inner}]", weight.shape));
    }
    let mut y = Tensor { shape: x.shape.clone(), data: vec![] };
    *y.shape.last_mut().unwrap() = outer;
    for row in x.data.chunks(inner) {
        for (filter, bias) in weight.data.chunks(inner).zip(&bias.data) {
            y.data.push(row.iter().zip(filter).map(|(a, b)| a * b).sum::<f32>() + bias);
        }
    }
    Ok(y)
}

fn softmax(x: &Tensor) -> Tensor {
    let mut y = x.clone();
    for row in y.data.chunks_mut(x.last()) {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|n| *n = (*n - most).exp());
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|n| *n /= sum);
    }
    y
}

fn relu(x: f32) -> f32 {
    x.max(0.0)
}

// ---- MobileBERT -----------------------------------------------------------------------------------

const DEFAULT_EPSILON: f32 = 1e-5; // of two norms, whatever the config says

impl Model {
    fn embeddings(&mut self, ids: &Tensor) -> Result<Tensor> {
        let path = format!("{}embeddings", self.body);
        let [types, positions] = ["token_type_ids", "position_ids"].map(|name| self.input(name, ids));
        let words = self.rows(&format!("{path}.words"), &format!("{path}.word_embeddings"), ids)?;
        let (T, E) = (ids.last(), words.last());
        // The next token, the token itself and the one before; zeros past both ends.
        let grams = Tensor::new(&[ids.shape[0], T, 3 * E], |i| {
            let (token, which, e) = (i / (3 * E), i / E % 3, i % E);
            let t = token % T;
            let is_there = !(which == 0 && t + 1 == T || which == 2 && t == 0);
            if is_there { words.data[(token + 1 - which) * E + e] } else { 0.0 }
        });
        self.record(&format!("{path}.grams"), grams.clone());
        let full = self.linear(&format!("{path}.embedding_transformation"), &grams)?;
        let places = format!("{path}.position_embeddings");
        let places = self.rows(&format!("{path}.positions"), &places, &positions)?;
        let kinds = format!("{path}.token_type_embeddings");
        let kinds = self.rows(&format!("{path}.types"), &kinds, &types)?;
        let summed = self.record(&format!("{path}.summed"), full.plus(&places).plus(&kinds));
        self.norm(&format!("{path}.LayerNorm"), &summed, DEFAULT_EPSILON)
    }

    /// Lead into a layer: [B, T, D] -> [B, T, C]
    fn squeeze(&mut self, path: &str, x: &Tensor) -> Result<Tensor> {
        let squeezed = self.linear(&format!("{path}.dense"), x)?;
        self.norm(&format!("{path}.LayerNorm"), &squeezed, self.epsilon)
    }

    /// Query and key read `shared` [B, T, C], value reads `full` [B, T, D] or [B, T, C]; -> [B, T, C]
    fn attention(&mut self, path: &str, shared: &Tensor, full: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let query = self.linear(&format!("{path}.query"), shared)?;
        let key = self.linear(&format!("{path}.key"), shared)?;
        let value = self.linear(&format!("{path}.value"), full)?;
        let (B, T, C, H) = (query.shape[0], query.shape[1], query.shape[2], self.heads);
        let S = C / H;
        let scores = Tensor::new(&[B, H, T, T], |i| {
            let (b, h, t, u) = (i / (H * T * T), i / (T * T) % H, i / T % T, i % T);
            let (from, to) = ((b * T + t) * C + h * S, (b * T + u) * C + h * S);
            let pairs = query.data[from..from + S].iter().zip(&key.data[to..to + S]);
            pairs.map(|(a, b)| a * b).sum::<f32>() / (S as f32).sqrt()
        });
        let scores = self.record(&format!("{path}.attend.scores"), scores);
        // Added, and finite, so that a row of padding alone has some softmax, too.
        let bias = |counts: f32| if counts == 0.0 { f32::MIN } else { 0.0 };
        let masked = Tensor::new(&scores.shape, |i| {
            scores.data[i] + bias(mask.data[i / (H * T * T) * T + i % T])
        });
        let masked = self.record(&format!("{path}.attend.masked_scores"), masked);
        let probs = self.record(&format!("{path}.attend.probs"), softmax(&masked));
        let context = Tensor::new(&[B, T, H, S], |i| {
            let (b, t, h, s) = (i / (T * C), i / C % T, i / S % H, i % S);
            let row = &probs.data[((b * H + h) * T + t) * T..][..T];
            row.iter().enumerate().map(|(u, p)| p * value.data[(b * T + u) * C + h * S + s]).sum()
        });
        let context = self.record(&format!("{path}.attend.context"), context);
        Ok(self.record(path, context.reshaped(&[B, T, C])))
    }

    /// [B, T, C] -> [B, T, C]
    fn feed_forward(&mut self, path: &str, x: &Tensor, epsilon: f32) -> Result<Tensor> {
        let entered = self.linear(&format!("{path}.intermediate.dense"), x)?;
        let wide = self.record(&format!("{path}.wide"), entered.map(relu));
        let narrow = self.linear(&format!("{path}.output.dense"), &wide)?;
        self.norm(&format!("{path}.output.LayerNorm"), &x.plus(&narrow), epsilon)
    }

    /// [B, T, D] -> [B, T, D]
    fn layer(&mut self, path: &str, x: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let narrow = self.squeeze(&format!("{path}.bottleneck.input"), x)?;
        let attention = format!("{path}.attention.self");
        let context = if self.bottleneck_attention {
            self.attention(&attention, &narrow, &narrow, mask)?
        } else {
            let shared = self.squeeze(&format!("{path}.bottleneck.attention"), x)?;
            self.attention(&attention, &shared, x, mask)?
        };
        let projected = self.linear(&format!("{path}.attention.output.dense"), &context)?;
        let norm = format!("{path}.attention.output.LayerNorm");
        let mut narrow = self.norm(&norm, &narrow.plus(&projected), self.epsilon)?;
        for i in 0..self.feed_forwards - 1 {
            narrow = self.feed_forward(&format!("{path}.ffn.{i}"), &narrow, self.epsilon)?;
        }
        let narrow = self.feed_forward(path, &narrow, DEFAULT_EPSILON)?;
        let expanded = self.linear(&format!("{path}.output.bottleneck.dense"), &narrow)?;
        let norm = format!("{path}.output.bottleneck.LayerNorm");
        self.norm(&norm, &x.plus(&expanded), self.epsilon)
    }

    /// [B, T, D] -> [B, D]
    fn pool(&mut self, x: &Tensor) -> Result<Tensor> {
        let (T, D) = (x.shape[1], x.shape[2]);
        let first = Tensor::new(&[x.shape[0], D], |i| x.data[i / D * T * D + i % D]);
        let dense = self.linear(&format!("{}pooler.dense", self.body), &first)?;
        Ok(self.record(&format!("{}pooled", self.body), dense.map(f32::tanh)))
    }

    /// [B, T, D] -> [B, T, V]: E channels times the embedding of each piece, the rest times `dense`
    fn masked_lm(&mut self, x: &Tensor) -> Result<()> {
        let dense = self.linear("cls.predictions.transform.dense", x)?;
        let activated = self.record("cls.predictions.activated", dense.map(relu));
        let norm = "cls.predictions.transform.LayerNorm"; // a real one, whatever the config says
        let transformed = self.layer_norm(norm, &activated, self.epsilon)?;
        let table = self.parameter(&format!("{}embeddings.word_embeddings.weight", self.body))?; // tied
        let (V, E, D) = (table.shape[0], table.shape[1], transformed.last());
        let narrow = transformed.channels(0, E);
        let by_embedding = multiply(&narrow, table, self.parameter("cls.predictions.bias")?)?;
        let extra = &self.parameter("cls.predictions.dense.weight")?.data; // [D-E, V], not transposed
        let by_dense = Tensor::new(&by_embedding.shape, |i| {
            let rest = &transformed.data[i / V * D + E..i / V * D + D];
            rest.iter().enumerate().map(|(k, n)| n * extra[k * V + i % V]).sum()
        });
        self.record("cls.predictions.decoder", by_embedding.clone());
        self.record("cls.predictions.by_dense", by_dense.clone());
        self.record("cls.predictions", by_embedding.plus(&by_dense));
        Ok(())
    }

    fn head(&mut self, architecture: &str, x: &Tensor, given: &Tensor) -> Result<()> {
        match architecture {
            "MobileBertModel" => self.pool(x).map(drop),
            "MobileBertForMaskedLM" => self.masked_lm(x),
            "MobileBertForPreTraining" => {
                self.masked_lm(x)?;
                let pooled = self.pool(x)?;
                self.linear("cls.seq_relationship", &pooled).map(drop)
            }
            "MobileBertForNextSentencePrediction" => {
                let pooled = self.pool(x)?;
                self.linear("cls.seq_relationship", &pooled).map(drop)
            }
            "MobileBertForSequenceClassification" => {
                let pooled = self.pool(x)?;
                self.linear("classifier", &pooled).map(drop)
            }
            "MobileBertForMultipleChoice" => {
                let pooled = self.pool(x)?;
                let scores = self.linear("classifier", &pooled)?; // [Q*N, 1], which becomes [Q, N]
                self.record("logits", scores.reshaped(&given.shape[..2]));
                Ok(())
            }
            "MobileBertForTokenClassification" => self.linear("classifier", x).map(drop),
            "MobileBertForQuestionAnswering" => {
                let both = self.linear("qa_outputs", x)?;
                for (i, name) in ["start_logits", "end_logits"].iter().enumerate() {
                    self.record(name, both.channels(i, i + 1).reshaped(&x.shape[..2]));
                }
                Ok(())
            }
            _ => Err(format!("the architecture is {architecture}, expected a MobileBERT")),
        }
    }

    // ---- every case of the kit --------------------------------------------------------------------

    /// An input of the case as [B, T]. Without it all tokens count, are of type 0, and in order.
    fn input(&self, argument: &str, ids: &Tensor) -> Tensor {
        let given = self.inputs.get(&format!("{}/{argument}", self.case));
        Tensor::new(&ids.shape, |i| match (given, argument) {
            (Some(x), _) => x.data[i],
            (None, "attention_mask") => 1.0,
            (None, "position_ids") => (i % ids.last()) as f32,
            _ => 0.0,
        })
    }

    fn run(&mut self, architecture: &str, given: &Tensor) -> Result<()> {
        let T = given.last();
        let ids = given.reshaped(&[given.data.len() / T, T]); // choices are sentences like any others
        let mask = self.input("attention_mask", &ids);
        let mut x = self.embeddings(&ids)?;
        for i in 0..self.layers {
            x = self.layer(&format!("{}encoder.layer.{i}", self.body), &x, &mask)?;
        }
        self.head(architecture, &x, given)
    }
}

fn run_kit(kit: &str, mine: &str) -> Result<()> {
    let path = format!("{kit}/manifest.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let manifest = parse(&text)?;
    for (name, only) in [
        ("hidden_act", "relu"),
        ("trigram_input", "true"),
        ("use_bottleneck", "true"),
        ("key_query_shared_bottleneck", "true"),
        ("classifier_activation", "true"),
    ] {
        let value = get(&manifest, &format!("config.{name}"))?;
        if value != only {
            return Err(format!("{name} is {value}: the kits show only {only}"));
        }
    }
    let architecture = get(&manifest, "architecture")?;
    let inputs = read_tensors(&format!("{kit}/inputs.safetensors"))?;
    let mut model = Model {
        heads: number(&manifest, "config.num_attention_heads")?,
        layers: number(&manifest, "config.num_hidden_layers")?,
        feed_forwards: number(&manifest, "config.num_feedforward_networks")?,
        normalises: get(&manifest, "config.normalization_type")? == "layer_norm",
        bottleneck_attention: get(&manifest, "config.use_bottleneck_attention")? == "true",
        epsilon: number(&manifest, "config.layer_norm_eps")?,
        weights: read_tensors(&format!("{kit}/{}", get(&manifest, "weights")?))?,
        inputs: inputs.clone(),
        body: if architecture == "MobileBertModel" { "" } else { "mobilebert." },
        case: String::new(),
        results: vec![],
    };
    for (name, ids) in &inputs {
        if let Some(case) = name.strip_suffix("/input_ids") {
            model.case = case.into();
            model.run(architecture, ids)?;
        }
    }
    write_tensors(mine, &model.results)
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.len() != 2 {
        eprintln!("usage: mobilebert KIT MINE.safetensors");
        process::exit(2);
    }
    if let Err(message) = run_kit(&arguments[0], &arguments[1]) {
        eprintln!("mobilebert: {message}");
        process::exit(1);
    }
}
