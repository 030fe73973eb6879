// The supervision tree: every actor of the node, as it is now.

import { ask } from "./api.js";
import { h, keyed, setHidden, setText } from "./dom.js";
import { badge, disclosure } from "./parts.js";
import { foreign, problem } from "./telling.js";
import { duration } from "./times.js";
import { t } from "./words.js";

const EVERY_MS = 5_000;
const CALMER_MS = 15_000; // after a while: a key may ask only so often
const WHILE_MS = 5 * 60_000;
const MANY_CLINICS = 20; // from so many on, clinics are asked for when they are opened
const MOST_OPEN = 3;
const BUSY_S = 1;

export class Tree {
  heading = h("h1", { tabindex: "-1" }, t("tree.title"));
  #page;
  #opened = new Map();
  #timer = null;
  #closed = false;
  #began = Date.now();
  #many;
  #summary = h("p", { class: "why" });
  #trouble = h("div", { class: "wrong" });
  #root = h("ul", { class: "tree" });
  #tree = null;
  #wake = () => this.#woken();

  constructor(page) {
    this.#page = page;
    this.root = h("div", {}, this.heading, h("p", {}, t("tree.text")), this.#summary, this.#trouble, this.#root);
    document.addEventListener("visibilitychange", this.#wake);
    this.#load();
  }

  title = () => t("tree.title");

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#wake);
  }

  render() {}

  #woken() {
    if (document.hidden) return;
    this.#began = Date.now();
    this.#soon(0);
  }

  #soon(ms) {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.#load(), ms);
  }

  async #load() {
    if (document.hidden) return; // `#woken` goes on
    try {
      this.#many ??= this.#page.picture.clinics().length >= MANY_CLINICS;
      this.#tree = this.#many ? await this.#inParts() : await ask("GET", "/api/v1/tree");
      this.#trouble.replaceChildren();
      this.#show();
    } catch (error) {
      if (this.#closed) return;
      this.#trouble.replaceChildren(problem(error));
    }
    this.#soon(Date.now() - this.#began < WHILE_MS ? EVERY_MS : CALMER_MS);
  }

  async #inParts() {
    const asked = [...this.#opened].filter(([path, open]) => open && path.split("/").length === 3).slice(-MOST_OPEN);
    const clinics = asked.map(([path]) => path.split("/")[2]);
    const [top, ...parts] = await Promise.all([
      ask("GET", "/api/v1/tree?depth=2"),
      ...clinics.map((clinic) => ask("GET", `/api/v1/tree?clinic=${encodeURIComponent(clinic)}`).catch(() => null)),
    ]);
    const whole = new Map(
      parts
        .filter(Boolean)
        .flatMap(clinicsIn)
        .map((node) => [node.id, node]),
    );
    return grafted(top, whole);
  }

  #show() {
    if (this.#closed) return;
    const { facts } = this.#tree;
    const restarts = facts.restarts === undefined ? "" : t("tree.restarts", { n: facts.restarts });
    setText(
      this.#summary,
      facts.version === undefined
        ? ""
        : `${t("tree.node", { version: facts.version, time: duration(facts.uptime_s) })} ${restarts}`,
    );
    this.#renderInto(this.#root, [this.#tree], "");
  }

  #renderInto(list, nodes, above) {
    keyed(
      list,
      nodes.map((node) => ({ node, path: above === "" ? node.id : `${above}/${node.id}` })),
      ({ path }) => path,
      () => this.#row(),
    );
  }

  #row() {
    const name = h("span", { class: "name" });
    const kind = h("span", { class: "kind" });
    const state = badge((said) => t(said));
    const more = h("span", { class: "why" });
    const last = h("span", { class: "why", lang: foreign("en") });
    const below = h("ul");
    let where = "";
    const toggle = disclosure(null, (open) => {
      this.#opened.set(where, open);
      this.#show();
      if (this.#many) this.#soon(0);
    });
    return {
      node: h("li", {}, h("div", { class: "actor" }, toggle.node, name, kind, state.node, more, last), below),
      update: ({ node, path }) => {
        where = path;
        const open = this.#opened.get(path) ?? this.#openAtFirst(node, path);
        const alive = node.phase === "up" && node.facts.state !== undefined;
        setText(name, node.id);
        setText(kind, node.kind === node.id || node.kind === "" ? "" : node.kind);
        state.update(alive ? `state.${node.facts.state}` : `phase.${node.phase}`);
        setText(more, numbers(node));
        setText(last, node.last_exit ? `${t("tree.last_exit")} ${node.last_exit}` : "");
        const closed = node.kind === "clinic" && this.#many;
        toggle.update(t("tree.toggle", { id: node.id }), open);
        toggle.node.classList.toggle("none", node.children.length === 0 && !closed);
        setHidden(below, !open);
        this.#renderInto(below, open ? node.children : [], path);
      },
    };
  }

  /** Open to the channels, unless there are many; what lies above trouble is. */
  #openAtFirst(node, path) {
    const depth = path.split("/").length;
    return depth <= 2 || ((depth > 3 || !this.#many) && (node.kind !== "channel" || node.phase !== "up"));
  }
}

/** What an actor says in numbers: only what is not as usual. */
export function numbers(node) {
  return [
    node.facts.pid === undefined ? "" : t("tree.pid", { pid: node.facts.pid }),
    node.restarts > 0 ? t("tree.restarts", { n: node.restarts }) : "",
    node.inbox > 0 ? t("tree.inbox", { n: node.inbox }) : "",
    node.busy_s >= BUSY_S ? t("tree.busy", { time: duration(node.busy_s) }) : "",
    node.hung > 0 ? t("tree.hung", { n: node.hung }) : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

/** All clinics at or below `node`. */
export const clinicsIn = (node) => (node.kind === "clinic" ? [node] : node.children.flatMap(clinicsIn));

/** `node` with those clinics that are in `whole` as they are there. */
export function grafted(node, whole) {
  if (node.kind === "clinic") return whole.get(node.id) ?? node;
  return { ...node, children: node.children.map((child) => grafted(child, whole)) };
}
