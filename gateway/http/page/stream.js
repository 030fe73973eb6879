// The stream of what changes (Server-Sent Events), read by fetch: that sees comments, statuses and silence, and goes on
// where it was over any connection.

import { reach, Refusal } from "./api.js";

const SILENCE_MS = 40_000; // the node says something every 15 s
const MOST_PAUSE_MS = 30_000;
const UNSEEN_MS = 20_000;
const UNSEEN_PLACES = ["plantao-unseen-1", "plantao-unseen-2"];

/** A reader of text in pieces: calls `take({event, data, id})` for each event that is whole. */
export function reader(take, retry = () => {}) {
  let rest = "";
  let event = "";
  let data = [];
  let id;
  return (piece) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    for (const ended of lines) {
      const line = ended.endsWith("\r") ? ended.slice(0, -1) : ended;
      if (line === "") {
        if (data.length > 0) take({ event: event || "message", data: data.join("\n"), id });
        event = "";
        data = [];
        id = undefined;
        continue;
      }
      const colon = line.indexOf(":");
      if (colon === 0) continue;
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "event") event = value;
      else if (name === "data") data.push(value);
      else if (name === "id") id = value;
      else if (name === "retry" && /^\d+$/.test(value)) retry(Number(value));
    }
  };
}

/** Milliseconds before the next attempt, after so many that failed. */
export const pause = (failures, first, random = Math.random()) =>
  Math.min(MOST_PAUSE_MS, first * 2 ** Math.max(0, failures - 1)) * (0.5 + random / 2);

/** A place among the tabs that go on listening while nobody looks at them: what gives it back, null if there is none. A
 *  browser opens six connections to a node, for all of its tabs, and each stream takes one. */
async function place() {
  if (navigator.locks === undefined) return () => {};
  for (const name of UNSEEN_PLACES) {
    const release = await new Promise((resolve) => {
      const held = (lock) => (lock === null ? resolve(null) : new Promise((end) => resolve(end)));
      navigator.locks.request(name, { ifAvailable: true }, held);
    });
    if (release !== null) return release;
  }
  return null;
}

/** Follows `/api/v1/events` until it is closed. `take(event, data)` gets each event, `told(state, refusal)` how the
 *  stream is: `live`, or `lost` with what went wrong. */
export class Stream {
  #take;
  #told;
  #last = null;
  #retry = 2000;
  #failures = 0;
  #control = null;
  #closed = false;
  #wake = () => {};
  #unseen = null;
  #resting = false;
  #release = null;

  constructor(take, told) {
    this.#take = take;
    this.#told = told;
    addEventListener("online", this.now);
    document.addEventListener("visibilitychange", this.#looked);
    this.#run();
  }

  /** Try again at once. */
  now = () => this.#wake();

  close() {
    this.#closed = true;
    removeEventListener("online", this.now);
    document.removeEventListener("visibilitychange", this.#looked);
    clearTimeout(this.#unseen);
    this.#release?.();
    this.#control?.abort();
    this.#wake();
  }

  #looked = () => {
    clearTimeout(this.#unseen);
    this.#release?.();
    this.#release = null;
    if (document.hidden) this.#unseen = setTimeout(this.#listenOrRest, UNSEEN_MS);
    else if (this.#resting) {
      this.#resting = false;
      this.#wake();
    }
  };

  #listenOrRest = async () => {
    const release = await place();
    if (this.#closed || !document.hidden) return release?.();
    this.#release = release;
    this.#resting = release === null;
    if (this.#resting) this.#control?.abort();
  };

  async #run() {
    while (!this.#closed) {
      if (this.#resting) {
        await new Promise((resolve) => (this.#wake = resolve));
        continue;
      }
      let refusal = null;
      try {
        await this.#follow();
      } catch (error) {
        refusal = error instanceof Refusal ? error : null;
      }
      if (this.#closed) return;
      if (this.#resting) continue;
      this.#failures += 1;
      this.#told("lost", refusal);
      await this.#wait(pause(this.#failures, this.#retry));
    }
  }

  #wait(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #follow() {
    const control = (this.#control = new AbortController());
    const headers = { Accept: "text/event-stream", ...(this.#last === null ? {} : { "Last-Event-ID": this.#last }) };
    let silence = setTimeout(() => control.abort(), SILENCE_MS);
    try {
      const response = await reach("/api/v1/events", { headers, signal: control.signal });
      this.#failures = 0;
      this.#told("live", null);
      const read = reader(
        (one) => this.#event(one),
        (ms) => (this.#retry = ms),
      );
      const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let piece = await pieces.read(); !piece.done; piece = await pieces.read()) {
        clearTimeout(silence);
        silence = setTimeout(() => control.abort(), SILENCE_MS);
        read(piece.value);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  #event({ event, data, id }) {
    this.#take(event, JSON.parse(data));
    if (id !== undefined) this.#last = id;
  }
}
