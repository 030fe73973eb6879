// The node itself: which of its parts are away, as `/ready` tells who asks.

const EVERY_MS = 30_000;
const KNOWN = ["store", "bus", "broker", "nursery", "audit"];

/** What is wrong with the node, as troubles are grouped; none if it is ready. */
export function nodeTroubles(ready) {
  const away = Object.keys(ready ?? {}).filter((name) => ready[name]?.ok === false);
  const kinds = [
    ...(ready?.draining ? ["draining"] : []),
    ...away.map((name) => (KNOWN.includes(name) ? `part_${name}` : "part_other")),
  ];
  return [...new Set(kinds)].map((kind) => ({ key: kind, level: "act", kind, cause: "none", items: [] }));
}

/** Asks every half a minute while the page is looked at, and tells `changed` when it is another answer. */
export class NodeHealth {
  troubles = [];
  #timer;
  #changed;
  #closed = false;

  constructor(changed) {
    this.#changed = changed;
    this.#timer = setInterval(this.look, EVERY_MS);
    this.look();
  }

  close() {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  look = async () => {
    if (document.hidden) return;
    const found = await fetch("/ready", { credentials: "omit", cache: "no-store" })
      .then((response) => response.json())
      .catch(() => null);
    if (found === null || this.#closed) return; // that the node cannot be reached, the stream tells
    this.troubles = nodeTroubles(found);
    this.#changed();
  };
}
