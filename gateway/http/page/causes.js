// Troubles with the same cause, as the overview shows them.

import { h, keyed, setAttribute, setHidden, setText } from "./dom.js";
import { button, setReason, todo, warning } from "./parts.js";
import { toChannel, toClinic } from "./routes.js";
import { setTime, ticking } from "./times.js";
import { t } from "./words.js";

const MOST_AT_FIRST = 5;
const MOST_OF_MANY = 3; // where there are many causes, so that all of them are seen
const MANY = 3;
const MOST_SHOWN = 200;
const LOOK = { act: "bad", pair: "pair", watch: "way" };

/** A cause: what it is and what to do, once; then where, since when and why. */
export function causeRow({ level, kind }, changed) {
  const what = h("h3");
  const todoText = h("p", { class: "todo" });
  const list = h("ul", { class: "places", role: "list" });
  let all = false;
  const more = button(
    "",
    () => {
      all = true;
      changed();
    },
    "quiet more",
  );
  const node = h("li", { class: `trouble ${level}` }, warning(LOOK[level]), h("div", {}, what, todoText, list, more));
  return {
    node,
    update({ cause, items, causes }) {
      const name = t(`trouble.${kind}`);
      setText(what, items.length > 1 ? t("overview.times", { what: name, n: items.length }) : name);
      setText(todoText, todo(kind, cause));
      setHidden(list, items.length === 0);
      const shown = items.slice(0, all ? MOST_SHOWN : causes > MANY ? MOST_OF_MANY : MOST_AT_FIRST);
      keyed(list, shown, (one) => one.key, placeRow);
      setHidden(more, shown.length === items.length);
      setText(more, t("overview.more", { n: items.length - shown.length }));
    },
  };
}

function placeRow() {
  const clinicLink = h("a");
  const channelLink = h("a");
  const sep = h("span", { class: "sep" }, " › ");
  const since = ticking("for");
  const why = h("span", { class: "why" });
  const retry = ticking("in");
  const again = h("span", { class: "again" }, `${t("channel.retry")} `, retry);
  const node = h(
    "li",
    {},
    h("span", { class: "where" }, clinicLink, sep, channelLink),
    " ",
    h("span", { class: "story" }, h("span", { class: "since" }, since), " ", why, " ", again),
  );
  return {
    node,
    update({ clinic, channel, reason }) {
      setText(clinicLink, clinic.name);
      setAttribute(clinicLink, "href", toClinic(clinic.id));
      setHidden(sep, channel === null);
      setHidden(channelLink, channel === null);
      setText(channelLink, channel?.name ?? "");
      setAttribute(channelLink, "href", channel && toChannel(clinic.id, channel.channel));
      setTime(since, channel?.since ?? null);
      setReason(why, reason);
      setTime(retry, channel?.next_retry_at ?? null);
      setHidden(again, !channel?.next_retry_at);
    },
  };
}
