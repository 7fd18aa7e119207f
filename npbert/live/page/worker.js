// The worker of a live page: a browser's Python with npbert in it. Messages in: {id, ...request};
// out: {id, result} or {id, error}, and {progress} on the way.
"use strict";

let python = null;
let settings = null;
const models = new Set(); // those whose files are there
let queue = Promise.resolve();

self.onmessage = ({ data }) => {
  queue = queue.then(async () => {
    try {
      const result = data.settings ? await start(data.settings) : await answer(data);
      self.postMessage({ id: data.id, result });
    } catch (error) {
      self.postMessage({ id: data.id, error: String((error && error.message) || error) });
    }
  });
};

const progress = (text) => self.postMessage({ progress: text });

async function load(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    throw new Error(`${address} cannot be fetched, or is not what it should be`);
  }
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  return response;
}

async function start(given) {
  settings = given;
  checkHashes();
  progress("fetching Python");
  for (const name of ["pyodide.js", "pyodide.asm.js"]) {
    const script = await (await load(settings.engine + name)).blob();
    const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    self.importScripts(address);
    URL.revokeObjectURL(address);
  }
  python = await self.loadPyodide({
    indexURL: settings.engine,
    env: { HOME: "/home/pyodide", NPBERT_WEIGHTS: "/weights", NPBERT_BACKEND: "numpy", MPLBACKEND: "agg" },
    ...settings.streams && { stdout: settings.streams, stderr: settings.streams },
  });
  progress("fetching NumPy");
  const quiet = { messageCallback: () => {}, errorCallback: () => {} };
  await python.loadPackage(settings.packages, quiet);
  python.FS.mkdirTree("/weights");
  progress("fetching npbert");
  await unpack(settings.npbert);
  for (const more of settings.more || []) await unpack(more);
  return true;
}

// Whatever the engine fetches of these files must be what it was when npbert was released.
function checkHashes() {
  const plain = self.fetch.bind(self);
  self.fetch = (address, options = {}) => {
    const text = String(address.url || address);
    const name = text.startsWith(settings.engine) ? text.slice(settings.engine.length) : "";
    const integrity = settings.hashes[name];
    return plain(address, integrity ? { ...options, integrity } : options);
  };
}

async function unpack(address) {
  const archive = await (await load(address)).arrayBuffer();
  const [place] = python.runPython("import site; site.getsitepackages()").toJs();
  python.unpackArchive(archive, "zip", { extractDir: place });
}

async function need(name) {
  if (!name || models.has(name) || !settings.models[name]) return;
  progress(`fetching ${name}`);
  python.FS.mkdirTree(`/weights/${name}`);
  const files = await Promise.all(settings.models[name].files.map(async (file) => {
    const response = await load(`${settings.weights}${name}/${file}`);
    return [file, new Uint8Array(await response.arrayBuffer())];
  }));
  for (const [file, bytes] of files) python.FS.writeFile(`/weights/${name}/${file}`, bytes);
  models.add(name);
}

// Call a function of npbert.live.session, or of another module there, with JSON.
async function answer({ module = "session", call, request, needs = [] }) {
  if (!python) throw new Error("the engine is not there");
  for (const name of needs) await need(name);
  progress("");
  const session = python.pyimport(`npbert.live.${module}`);
  try {
    return session.answer(call, JSON.stringify(request));
  } finally {
    session.destroy();
  }
}
