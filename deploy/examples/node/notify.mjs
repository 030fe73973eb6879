// Sends one text and follows it until the patient's phone has it: an ordinary NATS client for Node.
//
//     npm ci
//     export NATS_URL=nats://user:password@127.0.0.1:4222
//     node notify.mjs acme reception 5511999990000 visit-17 2026-11-20T12:00:00Z "Bom dia!"
//
// The id (visit-17) is yours: run it again and nothing is sent twice, its outcome is told again. The time is the last at
// which the message is worth anything. A login made by `plantao key nats issue` also needs its NATS_INBOX_PREFIX. One
// JSON line an event; exit code 0 once it is delivered, 3 if it failed or was not delivered in time.
import { decode } from "@msgpack/msgpack";
import { DeliverPolicy, jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

/** An event is JSON or msgpack, as the clinic's settings say; the first byte tells. */
function read(data) {
  return data[0] === "{".charCodeAt(0) ? JSON.parse(new TextDecoder().decode(data)) : decode(data);
}

/** The send command. The same each time: an id with another body is refused. */
function command(id, to, until, text) {
  return { v: 1, id, to, type: "text", text, expires_at: until, deliver_by: until };
}

/** How it ended: the exit code; null as long as that is not known. */
function ended(kind, event) {
  if (kind === "receipt") return 0;
  return event.status === "sent" ? null : 3;
}

async function main(clinic, channel, to, id, until, text) {
  const url = new URL(process.env.NATS_URL);
  const connection = await connect({
    servers: url.host,
    user: decodeURIComponent(url.username),
    pass: decodeURIComponent(url.password),
    inboxPrefix: process.env.NATS_INBOX_PREFIX ?? "_INBOX",
    maxReconnectAttempts: -1,
  });
  try {
    const stream = jetstream(connection);
    const root = `clinic.${clinic}.channel.${channel}`;
    // From the beginning: if it was sent before, its receipt may be there already.
    const events = await stream.consumers.get("events", {
      filter_subjects: [`${root}.event.result`, `${root}.event.receipt`],
      deliver_policy: DeliverPolicy.All,
    });
    await stream.publish(`${root}.send`, JSON.stringify(command(id, to, until, text)));
    for await (const message of await events.consume()) {
      const event = read(message.data);
      if (event.id !== id) continue;
      const kind = message.subject.split(".").at(-1);
      console.log(JSON.stringify({ kind, status: event.status ?? event.type, error: event.error?.code ?? null }));
      const code = ended(kind, event);
      if (code !== null) return code;
    }
  } finally {
    await connection.close();
  }
}

process.exitCode = await main(...process.argv.slice(2));
