// One channel: how it is and what to do, pairing, a test message, what failed.

import { ACTIONS, may, offered, perform } from "./actions.js";
import { ask, of } from "./api.js";
import { crumbs } from "./clinic.js";
import { confirmed } from "./dialogs.js";
import { h, keyed, setAttribute, setHidden, setText } from "./dom.js";
import { Letters } from "./letters.js";
import { Pairing } from "./pairing.js";
import { button, facts, phone, setReason, stateBadge, todo } from "./parts.js";
import { understood } from "./reasons.js";
import { toClinic } from "./routes.js";
import { Sending } from "./sending.js";
import { done, failed, foreign } from "./telling.js";
import { moment, setTime, ticking } from "./times.js";
import { ofChannel } from "./trouble.js";
import { number, t } from "./words.js";

/** States in which there is one thing to do; in error the cause comes first. */
const RESTING = new Set(["disconnected", "logged_out", "suspended"]);

export class Channel {
  heading = h("h1", { tabindex: "-1" });
  #page;
  #clinic;
  #channel;
  #missing = h("p", { class: "loading" });
  #crumb = h("a");
  #state = stateBadge();
  #since = ticking("for");
  #why = h("span", { class: "why" });
  #retry = ticking("in");
  #again = h("p", { class: "again" }, `${t("channel.retry")} `, this.#retry);
  #means = h("p");
  #todo = h("p", { class: "todo" });
  #more = h("p", { class: "todo" });
  #actions = h("div", { class: "buttons", role: "group", "aria-label": t("channel.actions") });
  #facts = facts();
  #times = Object.fromEntries(
    ["connected_at", "activity_at", "created", "restricted_until", "sealed"].map((name) => [
      name,
      ticking(name === "restricted_until" ? "in" : "ago"),
    ]),
  );
  #pairing;
  #sending;
  #letters;
  #held;
  #body;
  #panel;

  constructor(page, { clinic, channel }) {
    this.#page = page;
    this.#clinic = clinic;
    this.#channel = channel;
    const operates = may(page.session, "operator");
    this.#crumb.href = toClinic(clinic);
    this.#pairing = operates && new Pairing(clinic, channel);
    this.#sending = operates && new Sending(clinic, channel);
    const again = (id) => this.#sending.again(id);
    this.#letters = new Letters("dead", clinic, channel, operates, again);
    this.#held = new Letters("held", clinic, channel, operates, again);
    this.#panel = h(
      "section",
      { class: "panel", "aria-labelledby": "state" },
      h("h2", { id: "state", class: "unseen" }, t("channel.state")),
      h("p", { class: "what" }, this.#state.node, " ", h("span", { class: "since" }, this.#since), " ", this.#why),
      this.#again,
      this.#means,
      this.#todo,
      this.#more,
      operates && this.#actions,
    );
    this.#body = h(
      "div",
      { class: "columns" },
      h(
        "div",
        {},
        this.#panel,
        this.#pairing && this.#pairing.root,
        this.#sending && this.#sending.root,
        this.#letters.root,
        this.#held.root,
      ),
      h(
        "div",
        {},
        h("section", { "aria-labelledby": "facts" }, h("h2", { id: "facts" }, t("channel.facts")), this.#facts.node),
        may(page.session, "admin") &&
          h(
            "section",
            { class: "end", "aria-labelledby": "end" },
            h("h2", { id: "end" }, t("channel.end")),
            button(t("channel.remove"), () => this.#remove(), "danger"),
          ),
      ),
    );
    this.root = h("div", {}, crumbs(this.#crumb), this.heading, this.#missing, this.#body);
  }

  title = () => this.heading.textContent;

  tells = (_before, after) => after.clinic === this.#clinic && after.channel === this.#channel;

  /** What the counters say is why messages are looked at again. */
  heard(event, data) {
    if (event !== "counters" || data.clinic !== this.#clinic) return;
    if (this.#sending) this.#sending.counted(data);
    this.#letters.counted(data.dead);
  }

  close() {
    for (const part of [this.#sending, this.#letters, this.#held]) if (part) part.close();
  }

  render(now) {
    const { picture } = this.#page;
    const clinic = picture.clinic(this.#clinic);
    const channel = picture.channel(this.#clinic, this.#channel);
    setText(this.heading, channel?.name ?? this.#channel);
    setText(this.#crumb, clinic?.name ?? this.#clinic);
    setHidden(this.#missing, channel !== undefined);
    setHidden(this.#body, channel === undefined);
    setText(this.#missing, t(picture.whole ? "channel.missing" : "overview.loading"));
    if (channel === undefined) return;
    this.#renderState(channel, now);
    this.#renderFacts(channel);
    if (this.#pairing) this.#pairing.render(channel, picture.code(this.#clinic, this.#channel), now);
    if (this.#sending) this.#sending.render(channel);
    this.#letters.start();
    this.#held.start();
  }

  #renderState(channel, now) {
    this.#panel.className = `panel ${ofChannel(channel, now)?.level ?? "fine"}`;
    this.#state.update(channel.state);
    setTime(this.#since, channel.since);
    setReason(this.#why, channel.reason);
    setTime(this.#retry, channel.next_retry_at);
    setHidden(this.#again, channel.next_retry_at === null);
    setText(this.#means, t(`means.${channel.state}`));
    setText(this.#todo, todo(channel.state, understood(channel.reason).kind));
    const kind = ofChannel(channel, now)?.kind ?? channel.state;
    setText(this.#more, kind === channel.state ? "" : `${t(`trouble.${kind}`)}. ${t(`todo.${kind}`)}`);
    setHidden(this.#more, kind === channel.state);
    setHidden(this.#todo, kind !== channel.state);
    const within = this.#actions.contains(document.activeElement);
    keyed(
      this.#actions,
      offered(channel),
      (action) => action,
      (action) => ({ node: button(t(`action.${action}`), () => this.#act(action)) }),
    );
    [...this.#actions.children].forEach((node, index) =>
      setAttribute(node, "class", index === 0 && RESTING.has(channel.state) ? "primary" : null),
    );
    if (within && !this.#actions.contains(document.activeElement)) this.#actions.firstChild?.focus();
  }

  #renderFacts(channel) {
    const times = {
      connected_at: channel.last_connected_at,
      activity_at: channel.last_activity_at,
      created: channel.created_at,
      restricted_until: channel.restricted_until,
      sealed: channel.sealed_at,
    };
    for (const [name, iso] of Object.entries(times)) setTime(this.#times[name], iso);
    const time = (name) => (times[name] === null || times[name] === undefined ? null : this.#times[name]);
    const set = (name, value, lang) => this.#facts.set(name, value, lang);
    set("id", channel.channel);
    set("phone", channel.phone && phone(channel.phone));
    set("profile", channel.profile_name);
    set("wanted", t(`wanted.${channel.wanted}`));
    set("since", moment(channel.since));
    set("attempt", channel.attempt > 0 ? number(channel.attempt) : null);
    set("queued", number(channel.queued));
    set("breaker", channel.breaker === "closed" ? null : t(`breaker.${channel.breaker}`));
    set("sending_breaker", channel.sending_breaker === "closed" ? null : t(`breaker.${channel.sending_breaker}`));
    set("restricted_until", time("restricted_until"));
    set("spooled", channel.spooled > 0 ? number(channel.spooled) : null);
    set("undecryptable", channel.undecryptable > 0 ? number(channel.undecryptable) : null);
    set("connected_at", time("connected_at"));
    set("activity_at", time("activity_at"));
    set("sealed", time("sealed"));
    set("unsealed", channel.unsealed, foreign("en"));
    set("created", time("created"));
    set("said", channel.reason, foreign("en"));
  }

  async #act(action) {
    const { confirm, danger } = ACTIONS[action];
    const name = this.heading.textContent;
    const act = async () => {
      await perform(action, this.#clinic, this.#channel);
      done(t(`done.${action}`, { name }));
    };
    if (confirm) {
      await confirmed(
        {
          title: t(`confirm.${action}`, { name }),
          text: t(`confirm.${action}_text`),
          label: t(`action.${action}`),
          danger,
        },
        act,
      );
      if (!this.#actions.contains(document.activeElement)) this.#actions.firstChild?.focus(); // its button may be gone
      return;
    }
    await act().catch(failed);
  }

  async #remove() {
    const name = this.heading.textContent;
    const question = {
      title: t("confirm.remove_channel", { name }),
      text: t("confirm.remove_channel_text"),
      label: t("channel.remove"),
      danger: true,
      word: this.#channel,
    };
    await confirmed(question, async () => {
      await ask("DELETE", of(this.#clinic, this.#channel));
      done(t("channel.removed", { name }));
      location.hash = toClinic(this.#clinic);
    });
  }
}
