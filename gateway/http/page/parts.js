// What all views are put together from: badges of states, reasons, facts, buttons.

import { drawing, h, setAttribute, setHidden, setText } from "./dom.js";
import { understood } from "./reasons.js";
import { foreign } from "./telling.js";
import { duration } from "./times.js";
import { has, t } from "./words.js";

const DISC = "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z";
const RING = `${DISC}M8 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8z`;
const CHEVRON = "M5.5 3 11 8l-5.5 5-1-1L9 8 4.500 4z";
const SHAPES = {
  ok: [`${DISC}M7.1 10.9 4.4 8.2l1-1 1.7 1.7 3.5-3.5 1 1z`],
  way: [`${DISC}M8 4a4 4 0 1 1 0 8z`],
  rest: [RING],
  pair: [
    "M2 2h5v5H2zm1.5 1.5v2h2v-2zM9 2h5v5H9zm1.5 1.5v2h2v-2zM2 9h5v5H2zm1.5 1.5v2h2v-2z",
    "M9 9h2v2H9zm3 0h2v2h-2zm-3 3h2v2H9zm3 0h2v2h-2z",
  ],
  bad: ["M8 1.5 15 14H1zM7.2 6v4h1.6V6zm0 5v1.6h1.6V11z"],
};

/** How each state of a channel, a clinic or an actor looks. */
export const LOOKS = {
  initializing: "way",
  qr_required: "pair",
  pairing: "way",
  connected: "ok",
  reconnecting: "way",
  disconnected: "rest",
  logged_out: "bad",
  suspended: "rest",
  error: "bad",
  running: "ok",
  degraded: "way",
  quarantined: "bad",
  up: "ok",
  starting: "way",
  stopping: "way",
  restarting: "way",
  waiting: "way",
  down: "rest",
};

/** A state as a word with a shape of its own: colour says it only once more. `word(state)` is what it is called. */
export function badge(word) {
  const said = h("span");
  const node = h("span", { class: "badge" });
  let shown = null;
  return {
    node,
    update(state) {
      if (state === shown) return;
      shown = state;
      const look = LOOKS[state.split(".").at(-1)] ?? "rest";
      node.className = `badge ${look}`;
      node.replaceChildren(drawing(look, ...SHAPES[look]), said);
      setText(said, word(state));
    },
  };
}

export const stateBadge = () => badge((state) => t(`state.${state}`));
export const clinicBadge = () => badge((state) => t(`clinic_state.${state}`));

/** What a trouble looks like. */
export const warning = (look) => drawing(look, ...SHAPES[look]);

/** `{text, lang}`: a reason in the page's language, or as the node put it. */
export function told(reason) {
  const { kind, values } = understood(reason);
  if (kind === "other") return { text: reason, lang: foreign("en") };
  const time = values.seconds === undefined ? {} : { time: duration(Number(values.seconds)) };
  return { text: t(`reason.${kind}`, { ...values, ...time }), lang: null };
}

/** Have `node` say why. */
export function setReason(node, reason) {
  const { text, lang } = told(reason);
  setText(node, text);
  setAttribute(node, "lang", lang);
}

/** What to do about a trouble or state: by its cause if that makes a difference to a channel. */
export const todo = (kind, cause) =>
  t(has(`mend.${cause}`) && !kind.startsWith("clinic_") ? `mend.${cause}` : `todo.${kind}`);

/** Digits as people write them. */
export function phone(digits) {
  const brazilian = /^55(\d\d)(\d{4,5})(\d{4})$/.exec(digits);
  return brazilian ? `+55 ${brazilian[1]} ${brazilian[2]}-${brazilian[3]}` : `+${digits}`;
}

/** Facts by name; a fact without a value is not shown. `set(name, text or node)`. */
export function facts() {
  const shown = new Map();
  const node = h("dl", { class: "facts" });
  return {
    node,
    set(name, value, lang = null) {
      if (!shown.has(name)) {
        const place = h("dd");
        const pair = h("div", {}, h("dt", {}, t(`fact.${name}`)), place);
        shown.set(name, { place, pair });
        node.append(pair);
      }
      const { place, pair } = shown.get(name);
      setHidden(pair, value === null || value === undefined || value === "");
      if (value instanceof Node) {
        if (place.firstChild !== value) place.replaceChildren(value);
      } else setText(place, value);
      setAttribute(place, "lang", lang);
    },
  };
}

/** A button that opens and closes what `controls` names. `label` is for who cannot see where it stands. */
export function disclosure(controls, toggled) {
  const label = h("span", { class: "unseen" });
  const node = h(
    "button",
    { type: "button", class: "toggle", "aria-controls": controls },
    drawing("chevron", CHEVRON),
    label,
  );
  node.addEventListener("click", () => toggled(node.getAttribute("aria-expanded") !== "true"));
  return {
    node,
    update(text, open) {
      setText(label, text);
      setAttribute(node, "aria-expanded", String(open));
    },
  };
}

/** A button. While what it does is under way it cannot be pressed again, but keeps the focus. */
export function button(label, act, kind = "") {
  const node = h("button", { type: "button", class: kind || null }, label);
  node.addEventListener("click", () => busy(node, act));
  return node;
}

/** Do it, once at a time, with `node` shown to be at work. */
export async function busy(node, act) {
  if (node.getAttribute("aria-disabled") === "true") return;
  node.setAttribute("aria-disabled", "true");
  try {
    await act();
  } finally {
    node.removeAttribute("aria-disabled");
  }
}
