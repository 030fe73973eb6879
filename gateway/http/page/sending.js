// A test message, and what becomes of it: its ticks.

import { ask, of } from "./api.js";
import { field, form } from "./dialogs.js";
import { drawing, h, keyed, setAttribute, setText } from "./dom.js";
import { phone, told, warning } from "./parts.js";
import { foreign, say } from "./telling.js";
import { ticking, setTime } from "./times.js";
import { has, t } from "./words.js";

const LOOK_MS = 2_000; // between looks: a key may ask only so often
const LATER_MS = 10_000;
const FRESH_MS = 60_000;
const FOLLOWED_MS = 10 * 60_000;
const WAIT_S = 20;
const MOST = 10;
const TICK = "M.8 8.6 4.200 12l6.400-7.400";
const SECOND = "m7.400 11.300.700.700 6.500-7.400";

/** How far a message has come. */
export function progress(message) {
  if (message === null) return "queued";
  if (message.state !== "sent") return message.state;
  if (message.read_at) return "read";
  return message.delivered_at ? "delivered" : "sent";
}

const fresh = (one) => Date.now() - one.at < FRESH_MS;
const GONE = new Set(["failed", "expired", "discarded"]);
const FINAL = new Set(["read", ...GONE]);

export class Sending {
  #clinic;
  #channel;
  #messages = [];
  #timer = null;
  #due = Infinity;
  #closed = false;
  #counted = null;
  #list = h("ul", { class: "messages" });
  #note = h("p", { class: "hint" });

  constructor(clinic, channel) {
    this.#clinic = clinic;
    this.#channel = channel;
    const to = field("to", t("sending.to"), {
      type: "tel",
      inputmode: "tel",
      autocomplete: "off",
      required: true,
      hint: t("sending.to_hint"),
    });
    const text = field("text", t("sending.text"), { rows: 2, maxlength: 4096, required: true });
    text.input.value = t("sending.example");
    const send = form([to, text], t("sending.submit"), (values) => this.#send(values));
    this.root = h(
      "section",
      { class: "panel", "aria-labelledby": "sending" },
      h("h2", { id: "sending" }, t("sending.title")),
      this.#note,
      send,
      this.#list,
    );
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  render(channel) {
    setText(this.#note, channel.state === "connected" ? t("sending.note") : t("sending.waits"));
    keyed(this.#list, this.#messages, (one) => one.id, messageRow);
  }

  /** Results and receipts of the clinic were counted: if there are more, look soon at all that can still change. */
  counted({ sent, delivered, read, failed }) {
    const count = sent + delivered + read + failed;
    if (count !== this.#counted) this.#look();
    this.#counted = count;
  }

  /** One of them goes out once more: follow it anew. */
  again(id) {
    const one = this.#messages.find((each) => each.id === id);
    if (one === undefined) return;
    one.at = Date.now();
    one.message = null;
    this.#read(one, WAIT_S).then(() => this.#look());
  }

  #look() {
    const open = this.#messages.filter((one) => this.#open(one));
    if (open.length > 0) this.#soon(open.some(fresh) ? LOOK_MS : LATER_MS);
  }

  #soon(ms) {
    if (this.#closed || this.#due <= Date.now() + ms) return;
    clearTimeout(this.#timer);
    this.#due = Date.now() + ms;
    this.#timer = setTimeout(() => this.#lookNow(), ms);
  }

  async #lookNow() {
    this.#due = Infinity;
    await Promise.allSettled(this.#messages.filter((one) => this.#open(one)).map((one) => this.#read(one, 0)));
    if (this.#messages.some((one) => this.#open(one) && fresh(one))) this.#soon(LATER_MS); // should a count be missed
  }

  #open = (one) => !FINAL.has(progress(one.message)) && Date.now() - one.at < FOLLOWED_MS;

  async #send({ to, text }) {
    const id = `page-${random()}`;
    const digits = to.includes("@") ? to : to.replace(/[^\d]/g, "");
    await ask("POST", of(this.#clinic, this.#channel, "send"), { v: 1, id, to: digits, type: "text", text });
    const one = { id, to: digits, at: Date.now(), message: null, error: null };
    this.#messages = [one, ...this.#messages].slice(0, MOST);
    keyed(this.#list, this.#messages, (each) => each.id, messageRow);
    this.#read(one, WAIT_S).then(() => this.#look());
  }

  async #read(one, wait) {
    try {
      one.message = await ask(
        "GET",
        `${of(this.#clinic, this.#channel, "messages", one.id)}${wait ? `?wait=${wait}` : ""}`,
      );
      one.error = null;
    } catch (error) {
      one.error = error;
    }
    if (this.#closed) return;
    keyed(this.#list, this.#messages, (each) => each.id, messageRow);
  }
}

/** Ten bytes as hexadecimal digits: the id by which a message is sent once, however often it is asked for. */
const random = () =>
  [...crypto.getRandomValues(new Uint8Array(10))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

function messageRow() {
  const ticks = h("span", { class: "ticks" });
  const word = h("strong");
  const to = h("span", { class: "to" });
  const at = ticking("ago");
  const why = h("span", { class: "why" });
  let before = null;
  return {
    node: h("li", {}, ticks, word, " ", to, " ", at, " ", why),
    update(one) {
      const now = progress(one.message);
      setText(to, one.to.includes("@") ? one.to : phone(one.to));
      setTime(
        at,
        (one.message?.read_at ?? one.message?.delivered_at ?? one.message?.sent_at) || new Date(one.at).toISOString(),
      );
      const { text, lang } = failure(one);
      setText(why, text);
      setAttribute(why, "lang", lang);
      if (now === before) return;
      if (before !== null) say(one.id, t("sending.now", { state: t(`message.${now}`) }));
      before = now;
      setText(word, t(`message.${now}`));
      ticks.className = `ticks ${now}`;
      const paths = { sent: [TICK], delivered: [TICK, SECOND], read: [TICK, SECOND] }[now];
      const sign = paths ? drawing("tick", ...paths) : GONE.has(now) && warning("bad");
      ticks.replaceChildren(...(sign ? [sign] : []));
    },
  };
}

function failure(one) {
  const error = one.message?.error;
  if (!error) return { text: "", lang: null };
  const key = `code.${error.code}`;
  return has(key) ? { text: t(key), lang: null } : { text: told(error.message).text, lang: foreign("en") };
}
