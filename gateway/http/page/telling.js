// Telling people things: notices that can be seen, and words for who listens. Neither in a flood.

import { explained } from "./api.js";
import { h, setText } from "./dom.js";
import { spoken, t } from "./words.js";

const STAYS_MS = 8_000;
const QUIET_MS = 4_000;
const MOST_NOTICES = 3;

const notices = h("div", { class: "notices", role: "status", "aria-live": "polite" });
const spokenAloud = h("div", { class: "unseen", role: "log", "aria-live": "polite" });

/** Where both are shown: once, in the body. */
export const places = () => [notices, spokenAloud];

/** Something was done. It goes away by itself. */
export function done(text) {
  const node = notice("done", h("p", {}, text));
  setTimeout(() => node.remove(), STAYS_MS);
}

/** Something went wrong. It stays until it is put away. */
export function failed(error) {
  notice("failed", problem(error)).setAttribute("role", "alert");
}

/** A refusal in words: what it means, and what the node said. */
export function problem(error) {
  const { title, detail } = explained(error);
  return h("div", {}, h("p", {}, h("strong", {}, title)), detail && h("p", { class: "said", lang: foreign("en") }, detail));
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

/** Say that something is so, to who listens; a newer word on the same `subject` takes the place of one not said yet, and
 *  many at once are said as how many. */
export function say(subject, text) {
  waiting.set(subject, text);
  timer ??= setTimeout(speakUp, QUIET_MS);
}

function speakUp() {
  timer = null;
  const texts = [...waiting.values()];
  waiting = new Map();
  const line = h("p", {});
  spokenAloud.append(line);
  while (spokenAloud.children.length > 3) spokenAloud.firstChild.remove();
  setText(line, texts.length > 3 ? t("live.many", { n: texts.length }) : texts.join(" "));
}
