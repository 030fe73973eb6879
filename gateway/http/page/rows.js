// Rows of lists: clinics with what they have counted, and channels.

import { h, keyed, setAttribute, setHidden, setText } from "./dom.js";
import { clinicBadge, disclosure, setReason, stateBadge } from "./parts.js";
import { toChannel, toClinic } from "./routes.js";
import { setTime, ticking } from "./times.js";
import { clinicState } from "./trouble.js";
import { number, t } from "./words.js";

/** A channel in a list: what it is, how it is, since when and why, when it tries again. */
export function channelRow() {
  const link = h("a");
  const id = h("span", { class: "id" });
  const state = stateBadge();
  const since = ticking("for");
  const why = h("span", { class: "why" });
  const retry = ticking("in");
  const again = h("span", { class: "again" }, `${t("channel.retry")} `, retry);
  const queued = h("span", { class: "waiting" });
  const node = h(
    "li",
    { class: "channel" },
    h("span", { class: "names" }, link, " ", id),
    state.node,
    h("span", { class: "story" }, h("span", { class: "since" }, since), " ", why, " ", again),
    queued,
  );
  return {
    node,
    update(channel) {
      setAttribute(link, "href", toChannel(channel.clinic, channel.channel));
      setText(link, channel.name);
      setText(id, channel.name === channel.channel ? "" : channel.channel);
      state.update(channel.state);
      setTime(since, channel.since);
      setReason(why, channel.reason);
      setTime(retry, channel.next_retry_at);
      setHidden(again, channel.next_retry_at === null);
      setText(queued, channel.queued > 0 ? t("channel.waiting", { n: channel.queued }) : "");
    },
  };
}

export const COUNTERS = ["queued", "sent", "delivered", "read", "failed"];

/** What a clinic has counted. */
export function counters() {
  const values = Object.fromEntries(COUNTERS.map((name) => [name, h("dd")]));
  const pairs = COUNTERS.map((name) => h("div", { class: name }, h("dt", {}, t(`counter.${name}`)), values[name]));
  return {
    node: h("dl", { class: "counters" }, pairs),
    update(counts, queued) {
      for (const name of COUNTERS) {
        const value = name === "queued" ? (counts?.queued ?? queued) : (counts?.[name] ?? 0);
        setText(values[name], number(value));
        values[name].classList.toggle("none", value === 0);
      }
    },
  };
}

/** A clinic in a list, with its channels below it while it is open. `toggled(open)` is asked to open or close it. */
export function clinicRow(id, toggled) {
  const list = h("ul", { class: "channels", role: "list", id: `channels-${id}` });
  const toggle = disclosure(list.id, toggled);
  const link = h("a", { href: toClinic(id) });
  const state = clinicBadge();
  const share = h("span", { class: "share" });
  const meters = counters();
  const node = h(
    "li",
    { class: "clinic" },
    h("div", { class: "head" }, toggle.node, h("h3", {}, link), state.node, share, meters.node),
    list,
  );
  return {
    node,
    update({ clinic, channels, shown, open, counts }) {
      setText(link, clinic.name);
      state.update(clinicState(clinic, channels).state);
      const connected = channels.filter((channel) => channel.state === "connected").length;
      setText(
        share,
        channels.length === 0 ? t("clinic.no_channels") : t("clinic.share", { connected, n: channels.length }),
      );
      meters.update(
        counts,
        channels.reduce((sum, channel) => sum + channel.queued, 0),
      );
      toggle.update(t("clinic.toggle", { clinic: clinic.name }), open);
      setHidden(toggle.node, channels.length === 0);
      setHidden(list, !open || shown.length === 0);
      keyed(list, shown, (channel) => channel.channel, channelRow);
    },
  };
}
