// What the page decides without a browser. Run by test_page.py: node --test.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const PAGE = process.env.PAGE;
const load = (name) => import(`file://${PAGE}/${name}`);

const { choose, filled, speak, t } = await load("words.js");
const { OFFERED, ACTIONS, may, offered } = await load("actions.js");
const { Picture } = await load("picture.js");
const { REASONS, understood } = await load("reasons.js");
const { nodeTroubles } = await load("node.js");
const { parsed, toChannel, toClinic } = await load("routes.js");
const { pause, reader } = await load("stream.js");
const { clock, split } = await load("times.js");
const { clinicState, counted, GROUPS, groupOf, matches, ofChannel, outage, together, troubles } =
  await load("trouble.js");

const STATES = [
  "initializing",
  "qr_required",
  "pairing",
  "connected",
  "reconnecting",
  "disconnected",
  "logged_out",
  "suspended",
  "error",
];
const NOW = Date.parse("2026-11-28T09:00:00Z");
const LONG_AGO = "2026-11-28T08:00:00Z";

const channel = (more = {}) => ({
  clinic: "acme",
  channel: "reception",
  name: "Recepção",
  state: "connected",
  reason: "",
  wanted: "connected",
  since: LONG_AGO,
  attempt: 0,
  breaker: "closed",
  sending_breaker: "closed",
  queued: 0,
  next_retry_at: null,
  ...more,
});
const clinic = (more = {}) => ({ id: "acme", name: "Clínica São João", state: "running", reason: "", ...more });

test("the first language of the browser that there are words for is spoken", () => {
  assert.equal(choose(["fr-FR", "pt-PT", "en"]).tag, "pt-BR");
  assert.deepEqual(choose(["en-GB", "pt"]), { language: "en", tag: "en", locale: "en-GB" });
  assert.equal(choose(["fr", "de"]).tag, "en");
  assert.equal(choose([]).tag, "en");
});

test("a sentence takes its values, and the form for how many", async () => {
  assert.equal(filled("{a} of {b}, {c}", { a: 1, b: "2" }), "1 of 2, {c}");
  await speak(["pt-BR"]);
  assert.equal(t("overview.trouble", { n: 1 }), "1 problema");
  assert.equal(t("overview.trouble", { n: 1200 }), "1.200 problemas");
  await speak(["en"]);
  assert.equal(t("overview.trouble", { n: 0 }), "0 troubles");
});

test("both tables have the same keys, and the same values in each", async () => {
  const [en, pt] = [(await load("words-en.js")).default, (await load("words-pt.js")).default];
  assert.deepEqual(Object.keys(en).sort(), Object.keys(pt).sort());
  const names = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
  for (const key of Object.keys(en)) assert.deepEqual(names(en[key]), names(pt[key]), key);
  for (const name of ["words-en.js", "words-pt.js"]) {
    const keys = [...(await readFile(`${PAGE}/${name}`, "utf8")).matchAll(/^ {2}"([^"]+)":/gm)].map(
      (found) => found[1],
    );
    assert.equal(new Set(keys).size, keys.length, `${name} has a key twice`);
  }
});

test("for every state it is said what it means, what to do and what may be done", async () => {
  const words = (await load("words-en.js")).default;
  for (const state of STATES) {
    for (const key of [`state.${state}`, `means.${state}`, `todo.${state}`]) assert.ok(words[key], key);
    for (const action of OFFERED[state])
      assert.ok(ACTIONS[action] && words[`action.${action}`] && words[`done.${action}`], action);
    assert.ok(groupOf(channel({ state })), state);
  }
  for (const state of ["running", "degraded", "error", "quarantined", "suspended"]) {
    for (const key of [`clinic_state.${state}`, `means.clinic_${state}`, `todo.clinic_${state}`])
      assert.ok(words[key], key);
  }
  assert.equal(Object.values(GROUPS).flat().length, STATES.length);
});

test("actions that are confirmed say what follows from them", async () => {
  const words = (await load("words-en.js")).default;
  for (const [name, { confirm }] of Object.entries(ACTIONS)) {
    if (confirm) assert.ok(words[`confirm.${name}`] && words[`confirm.${name}_text`], name);
  }
});

test("an action takes a role", () => {
  const roles = ["viewer", "operator", "admin"];
  assert.deepEqual(
    roles.map((role) => may({ role }, "operator")),
    [false, true, true],
  );
  assert.deepEqual(
    roles.map((role) => may({ role }, "admin")),
    [false, false, true],
  );
  assert.equal(may(null, "viewer"), false);
});

test("a channel whose code nobody scanned is paired, one that was closed is connected", () => {
  assert.equal(offered(channel({ state: "disconnected", reason: "qr_expired" }))[0], "pair");
  assert.equal(offered(channel({ state: "disconnected", reason: "requested" }))[0], "connect");
});

test("reasons of the node are understood with what they name, others are left as they are", () => {
  assert.deepEqual(understood("banned by WhatsApp (code 101) for 3600 s"), {
    kind: "banned_for",
    values: { code: "101", seconds: "3600" },
  });
  assert.deepEqual(understood("quarantined after 3 restarts: crash"), {
    kind: "quarantined",
    values: { count: "3", detail: "crash" },
  });
  assert.equal(understood("requested before a restart").kind, "requested");
  assert.equal(understood("killed by signal 9").kind, "port_ended");
  assert.equal(understood("missed the deadline of a send (80 s)").kind, "port_hung");
  assert.equal(understood("").kind, "none");
  assert.deepEqual(understood("something new"), { kind: "other", values: { detail: "something new" } });
});

test("every reason that is understood has words, and no other has", async () => {
  const words = Object.keys((await load("words-en.js")).default);
  const kinds = new Set(REASONS.map(([, kind]) => kind));
  assert.deepEqual(
    words.filter((key) => key.startsWith("reason.")).sort(),
    [...kinds].map((kind) => `reason.${kind}`).sort(),
  );
  for (const key of words.filter((each) => each.startsWith("mend.")))
    assert.ok(kinds.has(key.slice("mend.".length)), key);
});

test("what an operator asked for is no trouble; what needs a person is", () => {
  const level = (more) => ofChannel(channel(more), NOW)?.level ?? null;
  assert.equal(level({}), null);
  assert.equal(level({ state: "suspended", reason: "requested", wanted: "suspended" }), null);
  assert.equal(level({ state: "disconnected", reason: "requested", wanted: "disconnected" }), null);
  assert.equal(level({ state: "disconnected", reason: "qr_expired" }), "act");
  assert.equal(level({ state: "error", reason: "x" }), "act");
  assert.equal(level({ state: "logged_out" }), "act");
  assert.equal(level({ state: "qr_required" }), "pair");
  assert.equal(level({ unsealed: "disk full" }), "act");
  assert.equal(level({ restricted_until: "2026-11-28T10:00:00Z" }), "watch");
  assert.equal(level({ restricted_until: "2026-11-28T08:59:00Z" }), null);
});

test("what mends itself is a trouble only if it takes long", () => {
  const at = (seconds, more = {}) =>
    ofChannel(channel({ state: "reconnecting", since: new Date(NOW - seconds * 1000).toISOString(), ...more }), NOW);
  assert.equal(at(5), null);
  assert.equal(at(61).level, "watch");
  assert.equal(at(5, { attempt: 5 }).level, "watch");
  assert.equal(at(5, { breaker: "open" }).level, "watch");
});

test("troubles: the worst first, then the oldest; those with the same cause are told together", () => {
  const channels = {
    acme: [
      channel({ channel: "a", state: "qr_required", since: "2026-11-28T08:10:00Z" }),
      channel({ channel: "b", state: "error", reason: "x", since: "2026-11-28T08:30:00Z" }),
    ],
    bela: ["a", "b", "c", "d"].map((id) =>
      channel({ clinic: "bela", channel: id, state: "logged_out", reason: "logout", since: "2026-11-28T08:20:00Z" }),
    ),
    down: [channel({ clinic: "down", state: "error", reason: "its clinic is quarantined" })],
  };
  const clinics = [
    clinic(),
    clinic({ id: "bela" }),
    clinic({ id: "down", state: "quarantined", reason: "quarantined after 3 restarts: crash" }),
  ];
  const found = troubles(clinics, (id) => channels[id], NOW);
  assert.deepEqual(
    found.map((one) => one.key),
    ["down", "bela/a", "bela/b", "bela/c", "bela/d", "acme/b", "acme/a"],
  );
  assert.deepEqual(
    together(found).map((one) => [one.level, one.kind, one.cause, one.items.length]),
    [
      ["act", "clinic_quarantined", "quarantined", 1],
      ["act", "logged_out", "logout", 4],
      ["act", "error", "other", 1],
      ["pair", "qr_required", "none", 1],
    ],
  );
});

test("a clinic is degraded while one of its channels is unwell, whatever the node last counted", () => {
  assert.equal(clinicState(clinic(), [channel()]).state, "running");
  assert.deepEqual(clinicState(clinic(), [channel(), channel({ state: "error" })]), { state: "degraded", unwell: 1 });
  assert.equal(
    clinicState(clinic({ state: "degraded", reason: "1 of 2 channels need attention" }), [channel()]).state,
    "running",
  );
  assert.equal(clinicState(clinic({ state: "degraded", reason: "opening" }), []).state, "degraded");
  assert.equal(clinicState(clinic({ state: "error" }), [channel({ state: "error" })]).state, "error");
});

test("most channels without a connection at once is an outage, a few are not", () => {
  const some = (n, state) => Array.from({ length: n }, () => channel({ state }));
  assert.equal(outage(some(4, "reconnecting")), false);
  assert.equal(outage([...some(6, "reconnecting"), ...some(5, "connected")]), true);
  assert.equal(outage([...some(6, "reconnecting"), ...some(60, "connected")]), false);
});

test("channels are counted by group, and found without accents and case", () => {
  const counts = counted(
    [channel(), channel({ state: "error" }), channel({ state: "suspended", reason: "requested" })],
    NOW,
  );
  assert.deepEqual([counts.total, counts.connected, counts.error, counts.at_rest, counts.trouble], [3, 1, 1, 1, 1]);
  assert.ok(matches(["sao", "recepcao"], clinic(), channel()));
  assert.ok(matches(["99"], clinic(), channel({ phone: "5511999990000" })));
  assert.ok(!matches(["bela"], clinic(), channel()));
});

test("what the node says of its parts is trouble if one of them is away", () => {
  const kinds = (ready) => nodeTroubles(ready).map((one) => one.kind);
  assert.deepEqual(kinds({ ready: true, store: { ok: true }, memory: { resident_bytes: 1 } }), []);
  assert.deepEqual(kinds({ ready: false, draining: true, bus: { ok: false }, x: { ok: false }, y: { ok: false } }), [
    "draining",
    "part_bus",
    "part_other",
  ]);
  assert.deepEqual(kinds(null), []);
});

test("the address leads to a view and back", () => {
  assert.deepEqual(
    { ...parsed(toChannel("acme", "reception")), query: 0 },
    { view: "channel", clinic: "acme", channel: "reception", query: 0 },
  );
  assert.equal(parsed(toClinic("a-b_c")).clinic, "a-b_c");
  assert.equal(parsed("").view, "overview");
  assert.equal(parsed("#/clinic/%E0%A4%A").clinic, "%E0%A4%A");
  assert.equal(parsed("#/?q=sao&show=trouble").query.get("show"), "trouble");
});

test("a stream is read in whatever pieces it comes", () => {
  const text =
    ': hello\nretry: 2000\n\nevent: clinic\r\ndata: {"id":\r\ndata: 1}\r\n\r\nid: e-1\nevent: ready\ndata: {}\n\nevent: lost\ndata: {';
  for (const size of [1, 3, 7, text.length]) {
    const events = [],
      pauses = [];
    const read = reader(
      (event) => events.push(event),
      (ms) => pauses.push(ms),
    );
    for (let at = 0; at < text.length; at += size) read(text.slice(at, at + size));
    assert.deepEqual(events, [
      { event: "clinic", data: '{"id":\n1}', id: undefined },
      { event: "ready", data: "{}", id: "e-1" },
    ]);
    assert.deepEqual(pauses, [2000]);
  }
});

test("the pause before the next attempt grows, with jitter, to half a minute at most", () => {
  assert.equal(pause(1, 2000, 1), 2000);
  assert.equal(pause(1, 2000, 0), 1000);
  assert.equal(pause(3, 2000, 1), 8000);
  assert.equal(pause(50, 2000, 1), 30_000);
});

test("times are told in their two largest units", () => {
  assert.deepEqual(split(59.9), [[59, "second"]]);
  assert.deepEqual(split(3599), [[59, "minute"]]);
  assert.deepEqual(split(3600 * 3 + 720), [
    [3, "hour"],
    [12, "minute"],
  ]);
  assert.deepEqual(split(86_400 * 2), [[2, "day"]]);
  assert.equal(clock(65), "1:05");
  assert.deepEqual(split(-5), [[0, "second"]]);
});

test("after a reset the old picture stays until the new one is whole", () => {
  const moves = [];
  const picture = new Picture((before, after) => moves.push([before.state, after.state]));
  const all = [
    ["reset", {}],
    ["clinic", clinic()],
    ["channel", channel()],
    ["ready", {}],
  ];
  for (const [event, data] of all.slice(0, 3)) picture.apply(event, data);
  assert.equal(picture.whole, false);
  assert.equal(picture.clinic("acme"), undefined);
  picture.apply("ready", {});
  assert.equal(picture.channelsOf("acme").length, 1);
  picture.apply("channel", channel({ state: "reconnecting" }));
  assert.deepEqual(moves, [["connected", "reconnecting"]]);
  picture.apply("reset", {});
  assert.equal(picture.channel("acme", "reception").state, "reconnecting");
  picture.apply("ready", {});
  assert.equal(picture.clinics().length, 0);
});

test("a picture that was half told when the connection was lost is not taken for whole", () => {
  const picture = new Picture();
  for (const [event, data] of [
    ["reset", {}],
    ["clinic", clinic()],
    ["ready", {}],
    ["reset", {}],
  ])
    picture.apply(event, data);
  picture.begin();
  picture.apply("ready", {});
  assert.equal(picture.clinics().length, 1);
});

test("what is gone takes along what belongs to it", () => {
  const picture = new Picture();
  const code = { clinic: "acme", channel: "reception", code: "x", expires_at: LONG_AGO };
  for (const [event, data] of [
    ["reset", {}],
    ["clinic", clinic()],
    ["channel", channel()],
    ["qr", code],
    ["ready", {}],
  ])
    picture.apply(event, data);
  assert.equal(picture.code("acme", "reception").code, "x");
  picture.apply("qr", { ...code, code: null, expires_at: null });
  assert.equal(picture.code("acme", "reception"), undefined);
  picture.apply("qr", code);
  picture.apply("gone", { clinic: "acme", channel: null });
  assert.deepEqual(
    [picture.clinic("acme"), picture.channelsOf("acme"), picture.code("acme", "reception")],
    [undefined, [], undefined],
  );
});

test("nothing in the page makes markup from text", async () => {
  const { readdir } = await import("node:fs/promises");
  for (const name of (await readdir(PAGE)).filter((each) => each.endsWith(".js"))) {
    const source = await readFile(`${PAGE}/${name}`, "utf8");
    assert.doesNotMatch(source, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b/, name);
  }
});
