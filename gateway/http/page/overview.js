// The first view: trouble first, then all clinics and their channels.

import { may } from "./actions.js";
import { causeRow } from "./causes.js";
import { createClinic } from "./dialogs.js";
import { h, keyed, setAttribute, setHidden, setText } from "./dom.js";
import { button, warning } from "./parts.js";
import { OVERVIEW } from "./routes.js";
import { clinicRow } from "./rows.js";
import { moment } from "./times.js";
import { counted, groupOf, GROUPS, matches, ofChannel, outage, plain, together, troubles } from "./trouble.js";
import { number, t } from "./words.js";

const MOST_ROWS = 400;
const MANY = 60; // from so many rows on, those out of sight are not drawn
const FEW_CHANNELS = 30; // so many are shown without being asked for
const SHOWN = ["all", "trouble", ...Object.keys(GROUPS)];

export class Overview {
  heading = h("h1", { tabindex: "-1" }, t("nav.overview"));
  #page;
  #show;
  #words = [];
  #opened = new Map();
  #loading = h("p", { class: "loading" }, t("overview.loading"));
  #calm = h("p", { class: "calm" });
  #outage = h("p", { class: "outage" }, warning("bad"), t("overview.outage"));
  #troubles = h("ul", { class: "troubles", role: "list" });
  #troubleTitle = h("h2");
  #chips = h("div", { class: "chips", role: "group", "aria-label": t("filter.label") });
  #clinics = h("ul", { class: "clinics", role: "list" });
  #none = h("p", { class: "loading" });
  #cut = h("p", { class: "loading" });
  #since = h("p", { class: "footnote" });
  #search;
  #tools;
  #body;

  constructor(page, where) {
    this.#page = page;
    this.#search = h("input", {
      type: "search",
      id: "search",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: t("search.placeholder"),
      oninput: () => this.#searched(),
    });
    this.#tools = h(
      "div",
      { class: "tools" },
      h(
        "div",
        { class: "search", role: "search" },
        h("label", { for: "search", class: "unseen" }, t("search.label")),
        this.#search,
      ),
      this.#chips,
    );
    const add =
      may(page.session, "admin") &&
      page.session.clinics === null &&
      button(t("create.clinic"), createClinic, "primary");
    this.#body = h(
      "div",
      {},
      h("section", { "aria-labelledby": "trouble" }, this.#troubleTitle, this.#calm, this.#outage, this.#troubles),
      h(
        "section",
        { "aria-labelledby": "clinics" },
        h("div", { class: "bar" }, h("h2", { id: "clinics" }, t("overview.clinics")), add),
        this.#tools,
        this.#none,
        this.#clinics,
        this.#cut,
        this.#since,
      ),
    );
    this.#troubleTitle.id = "trouble";
    this.root = h("div", { class: "overview" }, h("div", { class: "unseen" }, this.heading), this.#loading, this.#body);
    this.moved(where);
  }

  title = () => t("nav.overview");

  /** Told aloud: what gets into trouble, or out of it. */
  tells(before, after) {
    const at = Date.now();
    return (ofChannel(before, at) === null) !== (ofChannel(after, at) === null);
  }

  /** The address says what is searched for. */
  moved({ query }) {
    this.#show = SHOWN.includes(query.get("show")) ? query.get("show") : "all";
    const text = query.get("q") ?? "";
    if (this.#search.value.trim() !== text) this.#search.value = text;
    this.#words = plain(text).split(/\s+/).filter(Boolean);
    this.#page.changed();
  }

  #searched() {
    const query = new URLSearchParams();
    if (this.#search.value.trim()) query.set("q", this.#search.value.trim());
    if (this.#show !== "all") query.set("show", this.#show);
    history.replaceState(null, "", query.size ? `${OVERVIEW}?${query}` : OVERVIEW);
    this.moved({ query });
  }

  render(now) {
    const { picture } = this.#page;
    setHidden(this.#loading, picture.whole);
    setHidden(this.#body, !picture.whole);
    if (!picture.whole) return;
    const clinics = picture.clinics();
    const channels = new Map(clinics.map((clinic) => [clinic.id, picture.channelsOf(clinic.id)]));
    const all = [...channels.values()].flat();
    const counts = counted(all, now);
    this.#renderTroubles(clinics, channels, all, counts, now);
    setHidden(this.#tools, all.length === 0);
    this.#renderChips(counts);
    this.#renderClinics(clinics, channels, all.length, now);
  }

  #renderTroubles(clinics, channels, all, counts, now) {
    const found = troubles(clinics, (clinic) => channels.get(clinic), now);
    const own = this.#page.node.troubles;
    const count = own.length + found.length;
    setText(this.#troubleTitle, count === 0 ? t("overview.calm_title") : t("overview.trouble", { n: count }));
    setHidden(this.#calm, count > 0);
    setText(this.#calm, calm(counts));
    setHidden(this.#troubles, count === 0);
    setHidden(this.#outage, !outage(all));
    const causes = [...own, ...together(found)].map((cause, _index, { length }) => ({ ...cause, causes: length }));
    keyed(
      this.#troubles,
      causes,
      (cause) => cause.key,
      (cause) => causeRow(cause, this.#page.changed),
    );
  }

  #renderChips(counts) {
    const shown = SHOWN.filter((name) => name === "all" || name === this.#show || counts[name] > 0);
    keyed(
      this.#chips,
      shown,
      (name) => name,
      (name) => this.#chip(name),
    );
    for (const chip of this.#chips.children) {
      const { name } = chip.dataset;
      setAttribute(chip, "aria-pressed", String(name === this.#show));
      setText(chip.lastChild, number(name === "all" ? counts.total : counts[name]));
    }
  }

  #chip(name) {
    const press = () => {
      this.#show = name;
      this.#searched();
    };
    return {
      node: h(
        "button",
        { type: "button", "data-name": name, onclick: press },
        t(`filter.${name}`),
        " ",
        h("span", { class: "count" }),
      ),
    };
  }

  #renderClinics(clinics, channels, total, now) {
    const narrowed = this.#show !== "all" || this.#words.length > 0;
    const rows = [];
    let left = MOST_ROWS;
    let hidden = 0;
    for (const clinic of clinics) {
      const own = channels.get(clinic.id);
      const fitting = narrowed ? own.filter((channel) => this.#fits(clinic, channel, now)) : own;
      const byName = this.#show === "all" && this.#words.length > 0 && matches(this.#words, clinic);
      if (narrowed && fitting.length === 0 && !byName) continue;
      const open = this.#opened.get(clinic.id) ?? (narrowed || total <= FEW_CHANNELS);
      const shown = open ? fitting.slice(0, left) : [];
      left -= shown.length;
      hidden += open ? fitting.length - shown.length : 0;
      rows.push({ clinic, channels: own, shown, open, counts: this.#page.picture.counters(clinic.id) });
    }
    this.#clinics.classList.toggle("many", rows.length + MOST_ROWS - left > MANY);
    keyed(
      this.#clinics,
      rows,
      (row) => row.clinic.id,
      (row) => clinicRow(row.clinic.id, (open) => this.#toggle(row.clinic.id, open)),
    );
    setHidden(this.#none, rows.length > 0 || clinics.length === 0);
    setText(this.#none, t("search.none"));
    setHidden(this.#cut, hidden === 0);
    setText(this.#cut, t("search.cut", { n: hidden }));
    const since = rows.find((row) => row.counts)?.counts.since;
    setText(this.#since, since ? t("counter.since", { time: moment(since) }) : "");
  }

  #fits(clinic, channel, now) {
    if (this.#show === "trouble" && ofChannel(channel, now) === null) return false;
    if (this.#show in GROUPS && groupOf(channel) !== this.#show) return false;
    return matches(this.#words, clinic, channel);
  }

  #toggle(id, open) {
    this.#opened.set(id, open);
    this.#page.changed();
  }
}

function calm({ total, connected }) {
  if (total === 0) return t("overview.empty");
  return connected === total
    ? t("overview.all_connected", { n: total })
    : t("overview.calm", { n: connected, total: number(total) });
}
