// One clinic: how it is, what it has counted, its channels.

import { may } from "./actions.js";
import { ask, of } from "./api.js";
import { confirmed, createChannel } from "./dialogs.js";
import { h, keyed, setHidden, setText } from "./dom.js";
import { button, clinicBadge, facts, setReason } from "./parts.js";
import { OVERVIEW } from "./routes.js";
import { channelRow, counters } from "./rows.js";
import { done, failed } from "./telling.js";
import { moment, setTime, ticking } from "./times.js";
import { clinicState } from "./trouble.js";
import { t } from "./words.js";

export class Clinic {
  heading = h("h1", { tabindex: "-1" });
  #page;
  #id;
  #missing = h("p", { class: "loading" });
  #state = clinicBadge();
  #why = h("p", { class: "why" });
  #means = h("p");
  #todo = h("p", { class: "todo" });
  #meters = counters();
  #since = h("p", { class: "footnote" });
  #list = h("ul", { class: "channels", role: "list" });
  #empty = h("p", { class: "loading" }, t("clinic.empty"));
  #facts = facts();
  #created = ticking("ago");
  #release;
  #body;

  constructor(page, { clinic }) {
    this.#page = page;
    this.#id = clinic;
    const admin = may(page.session, "admin");
    this.#release = button(t("clinic.release"), () => this.#released(), "primary");
    this.#body = h(
      "div",
      { class: "stack" },
      h(
        "div",
        { class: "panel" },
        h("div", { class: "bar" }, this.#state.node, this.#release),
        this.#why,
        this.#means,
        this.#todo,
      ),
      h(
        "section",
        { "aria-labelledby": "counted" },
        h("h2", { id: "counted" }, t("clinic.counted")),
        this.#meters.node,
        this.#since,
      ),
      h(
        "section",
        { "aria-labelledby": "channels" },
        h(
          "div",
          { class: "bar" },
          h("h2", { id: "channels" }, t("clinic.channels")),
          admin && button(t("create.channel"), () => this.#add(), "primary"),
        ),
        this.#empty,
        this.#list,
      ),
      h("section", { "aria-labelledby": "facts" }, h("h2", { id: "facts" }, t("channel.facts")), this.#facts.node),
      admin &&
        h(
          "section",
          { class: "end", "aria-labelledby": "end" },
          h("h2", { id: "end" }, t("clinic.end")),
          button(t("clinic.remove"), () => this.#remove(), "danger"),
        ),
    );
    this.root = h("div", {}, crumbs(), this.heading, this.#missing, this.#body);
  }

  title = () => this.heading.textContent;

  tells = (_before, after) => after.clinic === this.#id;

  render() {
    const { picture, session } = this.#page;
    const clinic = picture.clinic(this.#id);
    setText(this.heading, clinic?.name ?? this.#id);
    setHidden(this.#missing, clinic !== undefined);
    setHidden(this.#body, clinic === undefined);
    setText(this.#missing, t(picture.whole ? "clinic.missing" : "overview.loading"));
    if (clinic === undefined) return;
    const channels = picture.channelsOf(this.#id);
    const { state, unwell } = clinicState(clinic, channels);
    this.#state.update(state);
    setText(this.#means, t(`means.clinic_${state}`));
    setText(this.#todo, t(`todo.clinic_${state}`));
    if (unwell > 0 && state === "degraded")
      setText(this.#why, t("clinic.unwell", { n: unwell, total: channels.length }));
    else setReason(this.#why, clinic.reason);
    setHidden(this.#release, !(clinic.state === "quarantined" && may(session, "operator")));
    const counts = picture.counters(this.#id);
    this.#meters.update(
      counts,
      channels.reduce((sum, channel) => sum + channel.queued, 0),
    );
    setText(this.#since, counts ? t("counter.since", { time: moment(counts.since) }) : "");
    keyed(this.#list, channels, (channel) => channel.channel, channelRow);
    setHidden(this.#empty, channels.length > 0);
    setTime(this.#created, clinic.created_at);
    this.#facts.set("id", clinic.id);
    this.#facts.set("timezone", clinic.timezone);
    this.#facts.set("created", this.#created);
  }

  #add() {
    createChannel(this.#page.picture.clinic(this.#id));
  }

  async #released() {
    try {
      await ask("POST", `${of(this.#id)}/release`);
      done(t("clinic.released"));
    } catch (error) {
      failed(error);
    }
  }

  async #remove() {
    const name = this.heading.textContent;
    const question = {
      title: t("confirm.remove_clinic", { name }),
      text: t("confirm.remove_clinic_text"),
      label: t("clinic.remove"),
      danger: true,
      word: this.#id,
    };
    await confirmed(question, async () => {
      await ask("DELETE", of(this.#id));
      done(t("clinic.removed", { name }));
      location.hash = OVERVIEW;
    });
  }
}

/** The way back. */
export function crumbs(...links) {
  const items = [h("a", { href: OVERVIEW }, t("nav.overview")), ...links].map((link) => h("li", {}, link));
  return h("nav", { class: "crumbs", "aria-label": t("nav.crumbs") }, h("ol", {}, items));
}
