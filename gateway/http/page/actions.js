// What may be done with a channel, by its state, and by whom.

import { ask, of } from "./api.js";
import { unpaired } from "./trouble.js";

const RANK = { viewer: 1, operator: 2, admin: 3 };

/** Whether a session may do what takes this role. */
export const may = (session, role) => RANK[session?.role] >= RANK[role];

/** By state, the most likely first. The node has the last word on each. */
export const OFFERED = {
  initializing: ["reconnect", "suspend", "disconnect"],
  qr_required: ["reconnect", "suspend", "disconnect"],
  pairing: ["reconnect", "suspend", "disconnect"],
  connected: ["reconnect", "suspend", "disconnect", "logout"],
  reconnecting: ["reconnect", "suspend", "disconnect"],
  disconnected: ["connect", "suspend"],
  logged_out: ["pair"],
  suspended: ["resume", "disconnect", "logout"],
  error: ["connect", "suspend", "disconnect", "logout"],
};

/** The verb of the route; what is to be confirmed says what follows from it in `confirm.<action>`. */
export const ACTIONS = {
  connect: { verb: "connect" },
  reconnect: { verb: "connect" },
  pair: { verb: "connect" },
  resume: { verb: "resume" },
  suspend: { verb: "suspend", confirm: true },
  disconnect: { verb: "disconnect", confirm: true },
  logout: { verb: "logout", confirm: true, danger: true },
};

/** What is offered for a channel: one that was never paired, or whose code nobody scanned, is paired, not connected. */
export function offered(channel) {
  return OFFERED[channel.state].map((action) => (unpaired(channel) && action === "connect" ? "pair" : action));
}

export const perform = (action, clinic, channel) => ask("POST", of(clinic, channel, ACTIONS[action].verb));
