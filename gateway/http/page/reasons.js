// Why a channel or clinic is as it is: the node's own reasons, told in people's words.

/** The first pattern that fits gives the kind; its groups are the values of the sentences `reason.<kind>` and, where
 *  what to do differs from that of the state, `mend.<kind>`. */
export const REASONS = [
  [/^(?:starting|waiting for a phone|paired)?$/, "none", []], // the state says as much
  [/^opening$/, "opening", []],
  [/^requested(?: before a restart)?$/, "requested", []],
  [/^qr_expired$/, "qr_expired", []],
  [/^pairing_refused$/, "pairing_refused", []],
  [/^logout$/, "logout", []],
  [/^logged out by WhatsApp: ?(.*)$/, "logged_out", ["detail"]],
  [/^session used elsewhere/, "replaced", []],
  [/^banned by WhatsApp \(code (\d+)\) for (\d+(?:\.\d+)?) s$/, "banned_for", ["code", "seconds"]],
  [/^banned by WhatsApp \(code (\d+)\)/, "banned", ["code"]],
  [/^client outdated/, "outdated", []],
  [/^session store unusable: (.*)$/, "store_unusable", ["detail"]],
  [/^cannot store: (.*)$/, "cannot_store", ["detail"]],
  [/^it can be stored again$/, "stores_again", []],
  [/^gave up after (\d+) attempts: (.*)$/, "gave_up", ["count", "detail"]],
  [/^quarantined after (\d+) restarts: (.*)$/, "quarantined", ["count", "detail"]],
  [/^its clinic is quarantined$/, "clinic_quarantined", []],
  [/^lazy: /, "lazy", []],
  [/^idle for (\d+(?:\.\d+)?) s/, "idle", ["seconds"]],
  [/^a command waits$/, "command_waits", []],
  [/^connection lost$/, "connection_lost", []],
  [/^stream error ?(.*)$/, "stream_error", ["code"]],
  [/^(\d+) keep-alives unanswered$/, "keepalives", ["count"]],
  [/^login refused: (.*)$/, "login_refused", ["detail"]],
  [/^pairing failed: (.*)$/, "pairing_failed", ["detail"]],
  [/^paired, but not connected within (\S+) s$/, "paired_not_connected", ["seconds"]],
  [/^not reconnected within (\S+) s/, "not_reconnected", ["seconds"]],
  [/^not connected within (\S+) s$/, "not_connected", ["seconds"]],
  [/^((?:killed by signal|exited with status|ended|Go aborted).*)$/, "port_ended", ["detail"]],
  [/^it took (\d+) MiB of memory/, "port_outgrown", ["count"]],
  [/^(missed .*|.*heartbeat.*)$/, "port_hung", ["detail"]],
  [/^(?:the port could not start|a port cannot be opened): (.*)$/, "port_not_started", ["detail"]],
  [/^(the nursery .*|the machine gives no process.*)$/, "port_not_started", ["detail"]],
  [/^the code expired, and no other came$/, "no_other_code", []],
  [/^\d+ of \d+ channels need attention$/, "channels_unwell", []],
];

/** `{kind, values}`; the kind is `other` for a reason that is not known here. */
export function understood(reason) {
  for (const [pattern, kind, names] of REASONS) {
    const found = pattern.exec(reason);
    if (found) return { kind, values: Object.fromEntries(names.map((name, index) => [name, found[index + 1]])) };
  }
  return { kind: "other", values: { detail: reason } };
}
