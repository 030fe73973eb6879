// Times: how long since, how long until, and elements that keep saying it.

import { h, setAttribute, setText } from "./dom.js";
import { spoken, t } from "./words.js";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
let skew = 0;

/** What the node's clock says, in milliseconds: browsers' clocks may be wrong, and countdowns must not be. */
export const now = () => Date.now() + skew;

/** Take the node's time from the `Date` of an answer, which knows no parts of a second. */
export function adjust(date, here = Date.now()) {
  const there = Date.parse(date ?? "");
  if (!Number.isNaN(there)) skew = Math.abs(there + 500 - here) > 2000 ? there + 500 - here : 0;
}

/** `seconds` as up to two units, the largest that are not zero: `[[3, "hour"], [12, "minute"]]`. */
export function split(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < MINUTE) return [[whole, "second"]];
  if (whole < HOUR) return [[Math.floor(whole / MINUTE), "minute"]];
  if (whole < DAY) return pair(whole, HOUR, "hour", MINUTE, "minute");
  return pair(whole, DAY, "day", HOUR, "hour");
}

function pair(whole, large, largeName, small, smallName) {
  const first = [Math.floor(whole / large), largeName];
  const rest = Math.floor((whole % large) / small);
  return rest === 0 || first[0] >= 10 ? [first] : [first, [rest, smallName]];
}

const formats = new Map();

function unit(value, name, display) {
  const key = `${spoken.locale} ${name} ${display}`;
  if (!formats.has(key)) {
    formats.set(key, new Intl.NumberFormat(spoken.locale, { style: "unit", unit: name, unitDisplay: display }));
  }
  return formats.get(key).format(value);
}

/** `seconds` in words, short or (`long`) in full for who listens. */
export const duration = (seconds, display = "short") =>
  split(seconds)
    .map(([value, name]) => unit(value, name, display))
    .join(" ");

/** Seconds as minutes and seconds: `1:05`. */
export const clock = (seconds) => `${Math.floor(seconds / MINUTE)}:${String(seconds % MINUTE).padStart(2, "0")}`;

/** A moment in full. */
export function moment(iso) {
  return new Date(iso).toLocaleString(spoken.locale, { dateStyle: "medium", timeStyle: "medium" });
}

const WORDS = {
  for: (s) => (s < 5 ? t("time.now") : t("time.for", { time: duration(s) })),
  ago: (s) => (s < 5 ? t("time.now") : t("time.ago", { time: duration(s) })),
  in: (s) => (s > -1 ? t("time.soon") : t("time.in", { time: duration(Math.ceil(-s)) })),
  left: (s) => clock(Math.max(0, Math.ceil(-s))),
};

/** An element that keeps saying a time. `kind`: `for` and `ago` of a past one, `in` and `left` of one to come. */
export function ticking(kind, iso = null) {
  const node = h("time", { "data-kind": kind });
  setTime(node, iso);
  return node;
}

/** Have it say another time; null: none. */
export function setTime(node, iso) {
  if (node.getAttribute("datetime") !== iso) {
    setAttribute(node, "datetime", iso);
    setAttribute(node, "title", iso === null ? null : moment(iso));
    node.at = iso === null ? null : Date.parse(iso);
  }
  tick(node);
}

function tick(node) {
  setText(node, node.at === null ? "" : WORDS[node.dataset.kind]((now() - node.at) / 1000));
}

/** Bring all of them up to now. */
export function tickAll() {
  for (const node of document.querySelectorAll("time[data-kind]")) tick(node);
}
