// What did not go out: dead letters with their history, and what is held for a person to decide.

import { ask, of } from "./api.js";
import { confirmed } from "./dialogs.js";
import { h, keyed, setAttribute, setHidden, setText } from "./dom.js";
import { button, phone } from "./parts.js";
import { done, failed, foreign, problem } from "./telling.js";
import { moment, setTime, ticking } from "./times.js";
import { has, number, t } from "./words.js";

const TITLES = { dead: "letters.dead", held: "letters.held" };
const PAGE = 20;
const LOOK_MS = 2_500;

/** `kind` is `dead` or `held`; `sentAgain(id)` is told of what goes out after all. */
export class Letters {
  #kind;
  #clinic;
  #channel;
  #operates;
  #sentAgain;
  #items = [];
  #next = null;
  #started = false;
  #timer = null;
  #count = null;
  #closed = false;
  #more;
  #heading;
  #list = h("ul", { class: "letters" });
  #empty;
  #trouble = h("div", { class: "wrong" });

  constructor(kind, clinic, channel, operates, sentAgain = () => {}) {
    this.#kind = kind;
    this.#clinic = clinic;
    this.#channel = channel;
    this.#operates = operates;
    this.#sentAgain = sentAgain;
    this.#heading = h("h2", { id: kind, tabindex: "-1" }, t(TITLES[kind]));
    this.#empty = h("p", { class: "loading" }, t("letters.loading"));
    this.#more = button(t("letters.more"), () => this.#load(this.#next), "quiet more");
    setHidden(this.#more, true);
    this.root = h(
      "section",
      { class: "panel", "aria-labelledby": kind },
      this.#heading,
      this.#trouble,
      this.#empty,
      this.#list,
      this.#more,
    );
    if (kind === "held") setHidden(this.root, true); // shown when there are some: they are rare
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  start() {
    if (this.#started) return;
    this.#started = true;
    this.#load(null);
  }

  /** So many were counted: if that is another number than before, there is something new. */
  counted(count) {
    const changed = this.#count !== null && this.#count !== count;
    this.#count = count;
    if (changed && !this.#closed) this.#timer ??= setTimeout(() => this.#load(null), LOOK_MS);
  }

  async #load(cursor) {
    this.#timer = null;
    const query = new URLSearchParams({
      limit: PAGE,
      ...(this.#kind === "held" ? { state: "held" } : {}),
      ...(cursor === null ? {} : { cursor }),
    });
    try {
      const page = await ask(
        "GET",
        `${of(this.#clinic, this.#channel, this.#kind === "held" ? "messages" : "dead")}?${query}`,
      );
      this.#items = cursor === null ? page.items : [...this.#items, ...page.items];
      this.#next = page.next;
      this.#trouble.replaceChildren();
      this.#show();
    } catch (error) {
      this.#trouble.replaceChildren(problem(error));
      setHidden(this.#empty, true);
    }
  }

  #show() {
    const count = `${number(this.#items.length)}${this.#next === null ? "" : "+"}`;
    setText(this.#heading, this.#items.length === 0 ? t(TITLES[this.#kind]) : `${t(TITLES[this.#kind])} (${count})`);
    setText(this.#empty, t("letters.none"));
    setHidden(this.#empty, this.#items.length > 0);
    setHidden(this.#more, this.#next === null);
    if (this.#kind === "held") setHidden(this.root, this.#items.length === 0);
    keyed(
      this.#list,
      this.#items,
      (item) => item.id,
      (item) => this.#row(item),
    );
  }

  #row({ id }) {
    const title = h("h3");
    const at = ticking("ago");
    const why = h("p", { class: "why" });
    const said = h("p", { class: "said", lang: foreign("en") });
    const attempts = h("ol");
    const summary = h("summary");
    const history = h("details", { ontoggle: () => history.open && this.#tell(id, attempts) }, summary, attempts);
    const again = button(t(this.#kind === "held" ? "letters.release" : "letters.replay"), () => this.#again(id));
    const discard = button(t("letters.discard"), () => this.#discard(id));
    const code = h("code", {}, id);
    const node = h(
      "li",
      {},
      h("div", { class: "bar" }, title, at),
      why,
      said,
      history,
      this.#operates && h("div", { class: "buttons" }, again, discard),
      h("p", { class: "id" }, code),
    );
    return {
      node,
      update(item) {
        const to = item.to.includes("@") ? item.to : phone(item.to);
        setText(title, t("letters.title", { type: t(`type.${item.type}`), to }));
        again.setAttribute("aria-label", `${again.textContent}: ${title.textContent}`);
        discard.setAttribute("aria-label", `${discard.textContent}: ${title.textContent}`);
        setTime(at, item.queued_at);
        const key = `code.${item.error?.code}`;
        setText(why, item.error ? (has(key) ? t(key) : item.error.code) : "");
        setText(said, item.error?.message ?? "");
        setText(summary, t("letters.history", { n: item.attempts }));
        setHidden(history, item.attempts === 0);
        setAttribute(node, "data-id", id);
      },
    };
  }

  /** Lists leave histories out: each is asked for when somebody wants to see it. */
  async #tell(id, attempts) {
    try {
      const { history } = await ask("GET", of(this.#clinic, this.#channel, "messages", id));
      keyed(attempts, history, (one) => `${one.run}.${one.number}.${one.at}`, attemptRow);
    } catch (error) {
      failed(error);
    }
  }

  async #again(id) {
    const path =
      this.#kind === "held"
        ? of(this.#clinic, this.#channel, "messages", id, "release")
        : of(this.#clinic, this.#channel, "dead", id, "replay");
    try {
      await ask("POST", path);
      done(t(this.#kind === "held" ? "done.release" : "done.replay"));
      this.#sentAgain(id);
      this.#away(id);
    } catch (error) {
      failed(error);
    }
  }

  async #discard(id) {
    const question = {
      title: t("confirm.discard"),
      text: t("confirm.discard_text"),
      label: t("letters.discard"),
      danger: true,
    };
    if (!(await confirmed(question, () => ask("DELETE", of(this.#clinic, this.#channel, "dead", id))))) return;
    done(t("done.discard"));
    this.#away(id);
  }

  #away(id) {
    this.#items = this.#items.filter((item) => item.id !== id);
    this.#show();
    this.#heading.focus();
    this.#timer ??= setTimeout(() => this.#load(null), LOOK_MS);
  }
}

function attemptRow(one) {
  const key = `code.${one.error.code}`;
  const node = h(
    "li",
    {},
    h("time", { datetime: one.at }, moment(one.at)),
    " · ",
    t("letters.attempt", { run: one.run, number: one.number }),
    " · ",
    has(key) ? t(key) : one.error.code,
    " ",
    h("span", { class: "said", lang: foreign("en") }, one.error.message),
  );
  return { node };
}
