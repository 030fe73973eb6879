// What is wrong, the worst first: decided from what the node told us, with the time as an argument.

import { understood } from "./reasons.js";

/** How bad: `act` needs a person now, `pair` waits for one with a phone, `watch` may mend itself and takes long. */
export const LEVELS = ["act", "pair", "watch"];

export const LONG_MS = 60_000;
const MOST_ATTEMPTS = 5;
const OUTAGE_LEAST = 5;
const UNWELL = new Set(["reconnecting", "error", "logged_out"]);

/** `{level, kind}` of a channel, null if all is as somebody wants it. `kind` names the sentences. */
export function ofChannel(channel, now) {
  const reason = understood(channel.reason).kind;
  switch (channel.state) {
    case "error":
    case "logged_out":
      return { level: "act", kind: channel.state };
    case "disconnected":
      return reason === "requested" || channel.wanted === "disconnected"
        ? null
        : { level: "act", kind: "disconnected" };
    case "qr_required":
      return { level: "pair", kind: "qr_required" };
    case "reconnecting":
    case "initializing":
    case "pairing":
      return slow(channel, now) ? { level: "watch", kind: `slow_${channel.state}` } : null;
    case "connected":
      return ofConnected(channel, now);
    default:
      return null;
  }
}

function slow(channel, now) {
  return now - Date.parse(channel.since) > LONG_MS || channel.attempt >= MOST_ATTEMPTS || channel.breaker === "open";
}

function ofConnected(channel, now) {
  if (channel.unsealed) return { level: "act", kind: "unsealed" };
  if (channel.restricted_until && Date.parse(channel.restricted_until) > now)
    return { level: "watch", kind: "restricted" };
  if (channel.sending_breaker === "open") return { level: "watch", kind: "sending_paused" };
  return null;
}

/** A clinic's state with its channels counted: `degraded` as soon as one of them is unwell. */
export function clinicState(clinic, channels) {
  const unwell = channels.filter((channel) => UNWELL.has(channel.state)).length;
  const own = clinic.reason === "opening" || clinic.state !== "degraded" ? clinic.state : "running";
  return { state: own === "running" && unwell > 0 ? "degraded" : own, unwell };
}

/** `{level, kind}` of a clinic itself, null if it runs. */
export function ofClinic(clinic) {
  if (clinic.state === "error" || clinic.state === "quarantined")
    return { level: "act", kind: `clinic_${clinic.state}` };
  return null;
}

/** All troubles, the worst first and of those the oldest: `{key, level, kind, reason, clinic, channel, since}`;
 *  `channel` is null for a clinic that is down as a whole, which is one trouble, not that of each of its channels. */
export function troubles(clinics, channelsOf, now) {
  const found = [];
  for (const clinic of clinics) {
    const own = ofClinic(clinic);
    if (own !== null) found.push({ key: clinic.id, ...own, reason: clinic.reason, clinic, channel: null, since: 0 });
    if (own?.kind === "clinic_quarantined") continue;
    for (const channel of channelsOf(clinic.id)) {
      const trouble = ofChannel(channel, now);
      if (trouble === null) continue;
      const reason = trouble.kind === "unsealed" ? channel.unsealed : channel.reason;
      found.push({
        key: `${clinic.id}/${channel.channel}`,
        ...trouble,
        reason,
        clinic,
        channel,
        since: Date.parse(channel.since),
      });
    }
  }
  const rank = (trouble) => LEVELS.indexOf(trouble.level);
  return found.sort((a, b) => rank(a) - rank(b) || a.since - b.since || (a.key < b.key ? -1 : 1));
}

/** Those with the same cause together, for which there is the same to do: `{key, level, kind, cause, items}`. */
export function together(found) {
  const groups = new Map();
  for (const trouble of found) {
    const cause = understood(trouble.reason).kind;
    const key = `${trouble.level} ${trouble.kind} ${cause}`;
    if (!groups.has(key)) groups.set(key, { key, level: trouble.level, kind: trouble.kind, cause, items: [] });
    groups.get(key).items.push(trouble);
  }
  return [...groups.values()];
}

/** Whether so many channels are without a connection at once that the cause lies outside of them. */
export function outage(channels) {
  const meant = channels.filter((channel) => ["connected", "reconnecting"].includes(channel.state));
  const lost = meant.filter((channel) => channel.state === "reconnecting");
  return lost.length >= OUTAGE_LEAST && lost.length * 2 > meant.length;
}

/** The groups that channels can be filtered by, and how many are in each. */
export const GROUPS = {
  connected: ["connected"],
  under_way: ["initializing", "pairing", "reconnecting"],
  to_pair: ["qr_required", "logged_out"],
  at_rest: ["disconnected", "suspended"],
  error: ["error"],
};

export function groupOf(channel) {
  if (unpaired(channel)) return "to_pair";
  return Object.keys(GROUPS).find((group) => GROUPS[group].includes(channel.state));
}

/** Whether it is closed because pairing came to nothing. */
export const unpaired = (channel) =>
  channel.state === "disconnected" && ["qr_expired", "pairing_refused"].includes(channel.reason);

/** `{total, trouble, <group>: n}`. */
export function counted(channels, now) {
  const counts = { total: 0, trouble: 0, ...Object.fromEntries(Object.keys(GROUPS).map((group) => [group, 0])) };
  for (const channel of channels) {
    counts.total += 1;
    counts[groupOf(channel)] += 1;
    if (ofChannel(channel, now) !== null) counts.trouble += 1;
  }
  return counts;
}

/** Text as it is searched for: without accents and case. */
export const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** Whether a channel (or, without one, a clinic) has all `words` in its names, ids or number. */
export function matches(words, clinic, channel) {
  const text = plain(
    [clinic.id, clinic.name, channel?.channel, channel?.name, channel?.phone].filter(Boolean).join(" "),
  );
  return words.every((word) => text.includes(word));
}
