// What the node has told us: clinics, channels, codes and counters, as they are now.

import { collated } from "./words.js";

const key = (clinic, channel) => `${clinic}/${channel}`;

class Things {
  clinics = new Map();
  channels = new Map(); // clinic → channel → snapshot
  codes = new Map();
  counters = new Map();
}

/** Applies events one by one. After a `reset` the old things stay to be seen until the new ones are whole. `moved` is
 *  told of every channel whose state changes while one looks on. */
export class Picture {
  whole = false;
  #shown = new Things();
  #next = null;
  #moved;

  constructor(moved = () => {}) {
    this.#moved = moved;
  }

  /** Another connection begins: what the one before left half told is told again. */
  begin() {
    this.#next = null;
  }

  apply(event, data) {
    const things = this.#next ?? this.#shown;
    switch (event) {
      case "reset":
        this.#next = new Things();
        break;
      case "clinic":
        things.clinics.set(data.id, data);
        break;
      case "channel":
        this.#channel(things, data);
        break;
      case "qr":
        if (data.code === null) things.codes.delete(key(data.clinic, data.channel));
        else things.codes.set(key(data.clinic, data.channel), data);
        break;
      case "counters":
        things.counters.set(data.clinic, data);
        break;
      case "gone":
        this.#gone(things, data);
        break;
      case "ready":
        this.#shown = things;
        this.#next = null;
        this.whole = true;
        break;
    }
  }

  #channel(things, data) {
    if (!things.channels.has(data.clinic)) things.channels.set(data.clinic, new Map());
    const channels = things.channels.get(data.clinic);
    const before = this.#shown.channels.get(data.clinic)?.get(data.channel);
    channels.set(data.channel, data);
    if (this.whole && before !== undefined && before.state !== data.state) this.#moved(before, data);
  }

  #gone(things, { clinic, channel }) {
    if (channel === null) {
      for (const id of things.channels.get(clinic)?.keys() ?? []) things.codes.delete(key(clinic, id));
      things.clinics.delete(clinic);
      things.channels.delete(clinic);
      things.counters.delete(clinic);
    } else {
      things.channels.get(clinic)?.delete(channel);
      things.codes.delete(key(clinic, channel));
    }
  }

  clinic = (clinic) => this.#shown.clinics.get(clinic);
  channel = (clinic, channel) => this.#shown.channels.get(clinic)?.get(channel);
  code = (clinic, channel) => this.#shown.codes.get(key(clinic, channel));
  counters = (clinic) => this.#shown.counters.get(clinic);

  /** All, by name. */
  clinics = () => [...this.#shown.clinics.values()].sort((a, b) => collated(a.name, b.name) || collated(a.id, b.id));

  /** A clinic's, by name. */
  channelsOf = (clinic) =>
    [...(this.#shown.channels.get(clinic)?.values() ?? [])].sort(
      (a, b) => collated(a.name, b.name) || collated(a.channel, b.channel),
    );
}
