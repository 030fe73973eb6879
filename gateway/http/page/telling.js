// Telling people things: notices that can be seen, and words for who listens. Neither in a flood.

import { explained } from "./api.js";
import { h } from "./dom.js";
import { spoken, t } from "./words.js";

const STAYS_MS = 8_000;
const QUIET_MS = 4_000;
const QUIETER_MS = 30_000; // after a flood
const MOST_SAID = 3;
const MOST_NOTICES = 3;

const notices = h("section", { class: "notices" });
const spokenAloud = h("div", { class: "unseen", role: "log", "aria-live": "polite" });

/** Where both are shown: once, in the body. */
export function places() {
  notices.setAttribute("aria-label", t("notice.label"));
  return [notices, spokenAloud];
}

/** Something was done. It goes away by itself, or for what is done next. */
export function done(text) {
  for (const before of notices.querySelectorAll(".done")) before.remove();
  const node = notice("done", h("p", {}, text));
  aloud(text);
  setTimeout(() => node.remove(), STAYS_MS);
}

/** Something went wrong. It stays until it is put away. */
export function failed(error) {
  notice("failed", problem(error)).setAttribute("role", "alert");
}

/** What was told is not for who comes next. */
export function forget() {
  waiting.clear();
  notices.replaceChildren();
  spokenAloud.replaceChildren();
}

/** A refusal in words: what it means, and what the node said. */
export function problem(error) {
  const { title, detail } = explained(error);
  return h(
    "div",
    {},
    h("p", {}, h("strong", {}, title)),
    detail && h("p", { class: "said", lang: foreign("en") }, detail),
  );
}

/** The `lang` of words that are in this language, if the page speaks another. */
export const foreign = (language) => (spoken.language === language ? null : language);

function notice(kind, content) {
  const node = h("div", { class: `notice ${kind}` }, content);
  node.append(h("button", { type: "button", class: "quiet", onclick: () => node.remove() }, t("notice.dismiss")));
  notices.append(node);
  while (notices.children.length > MOST_NOTICES) notices.firstChild.remove();
  return node;
}

let waiting = new Map();
let timer = null;

/** Say that something is so, to who listens; a newer word on the same `subject` takes the place of one not said yet,
 *  and many at once are said as how many. */
export function say(subject, text) {
  waiting.set(subject, text);
  timer ??= setTimeout(speakUp, QUIET_MS);
}

function speakUp() {
  timer = null;
  const texts = [...waiting.values()];
  waiting = new Map();
  const many = texts.length > MOST_SAID;
  aloud(many ? t("live.many", { n: texts.length }) : texts.join(" "));
  if (many) timer = setTimeout(() => (waiting.size > 0 ? speakUp() : (timer = null)), QUIETER_MS);
}

function aloud(text) {
  spokenAloud.append(h("p", {}, text));
  while (spokenAloud.children.length > MOST_SAID) spokenAloud.firstChild.remove();
}
