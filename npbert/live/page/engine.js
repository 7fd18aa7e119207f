// The engine of a live page: its worker, started when it is first asked for, and anew after it was stopped.

const START_LIMIT = 180; // seconds for everything to be fetched, on a slow line

// settings: what npbert.live.folder.settings says; source: the worker's script; tell: is told what is going on.
function makeEngine(settings, source, tell) {
  const absolute = (address) => new URL(address, document.baseURI).href;
  const resolved = {
    ...settings,
    engine: absolute(settings.engine),
    npbert: absolute(settings.npbert),
    weights: absolute(settings.weights),
    more: (settings.more || []).map(absolute),
  };
  let worker = null;
  let ready = null; // a promise: that the worker has started
  let count = 0;
  const waiting = new Map(); // number of a request -> what to do with its result

  function stop(reason, isLate = false) {
    if (worker) worker.terminate();
    worker = null;
    ready = null;
    for (const { reject } of waiting.values()) reject(Object.assign(new Error(reason), { isLate }));
    waiting.clear();
  }

  function start() {
    if (ready) return ready;
    try {
      const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      worker = new Worker(address);
    } catch (error) {
      return Promise.reject(error);
    }
    worker.onmessage = ({ data }) => {
      if (data.progress !== undefined) { tell(data.progress); return; }
      if (data.printed !== undefined) return;
      const one = waiting.get(data.id);
      waiting.delete(data.id);
      if (!one) return;
      if (data.error !== undefined) one.reject(new Error(data.error));
      else one.resolve(data.result);
    };
    worker.onerror = (event) => { event.preventDefault(); stop(event.message || "the worker has failed"); };
    ready = send({ settings: resolved }, START_LIMIT, "the engine has not started");
    ready.catch(() => stop("the engine could not be started"));
    return ready;
  }

  function send(message, limit, late) {
    return new Promise((resolve, reject) => {
      count += 1;
      const timer = setTimeout(() => stop(late, true), 1000 * limit);
      const done = (then) => (value) => { clearTimeout(timer); then(value); };
      waiting.set(count, { resolve: done(resolve), reject: done(reject) });
      worker.postMessage({ id: count, ...message });
    });
  }

  // Ask a function of npbert.live for JSON. After `limit` seconds the worker is stopped; what takes
  // that long does not end.
  async function ask(call, request, { limit, needs = [], module } = {}) {
    await start();
    const late = `it was stopped, for after ${limit} seconds there was no end of it`;
    return JSON.parse(await send({ call, request, needs, module }, limit, late));
  }

  return { ask, start, stop, isStarted: () => ready !== null };
}
