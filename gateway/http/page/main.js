// The operator's page: sign in, then one view at a time of what the node streams.
//
// `Picture` holds what the node told; a view shows it. Whatever changes asks for a frame, in which the view brings its
// nodes up to date; so two hundred changes a second cost no more than the frames they are shown in. Everything is found
// by role and name: that is how people who listen find it, and how the tests do.

import { ask, onSignedOut, SESSION } from "./api.js";
import { Channel } from "./channel.js";
import { Clinic } from "./clinic.js";
import { Frame } from "./frame.js";
import { NodeHealth } from "./node.js";
import { Overview } from "./overview.js";
import { Picture } from "./picture.js";
import { parsed } from "./routes.js";
import { SignIn } from "./signin.js";
import { Stream } from "./stream.js";
import { failed, forget, say } from "./telling.js";
import { now, tickAll } from "./times.js";
import { Tree } from "./tree.js";
import { troubles } from "./trouble.js";
import { speak, spoken, t } from "./words.js";

const REMEMBERED = "plantao.session_until";
const VIEWS = { overview: Overview, clinic: Clinic, channel: Channel, tree: Tree };

class Page {
  session = null;
  picture = new Picture();
  node = null;
  #view = null;
  #where = "";
  #stream = null;
  #asked = false;
  #frame = new Frame(
    () => this.#signOut(),
    () => this.#stream?.now(),
  );

  async start() {
    onSignedOut(() => this.#end(t("signin.ended")));
    addEventListener("hashchange", () => this.#go());
    document.addEventListener("visibilitychange", () => this.changed());
    setInterval(() => this.#tick(), 1000);
    const session = await remembered();
    if (session === null) this.#signIn("");
    else this.#signedIn(session, false);
  }

  /** Something is different: show it in the next frame (where no frames are drawn, now and then). */
  changed = () => {
    if (this.#asked) return;
    this.#asked = true;
    if (document.hidden) setTimeout(this.#draw, 1000);
    else requestAnimationFrame(this.#draw);
  };

  #draw = () => {
    this.#asked = false;
    this.#view?.render(now());
    this.#entitle();
  };

  #tick() {
    if (document.hidden) return;
    tickAll();
    if (this.session !== null) this.changed(); // what lasts too long becomes a trouble without any news
  }

  #entitle() {
    const count = this.session === null || !this.picture.whole ? 0 : this.#urgent();
    const title = `${count > 0 ? `(${count}) ` : ""}${this.#view?.title() ?? ""} · Plantão`;
    if (document.title !== title) document.title = title;
  }

  /** How many troubles need a person now: in the title, so that a tab among others tells it. */
  #urgent() {
    const found = troubles(this.picture.clinics(), this.picture.channelsOf, now());
    return this.node.troubles.length + found.filter((one) => one.level === "act").length;
  }

  #signIn(notice) {
    this.#replace(new SignIn((session) => this.#signedIn(session, true), notice), "sign-in", notice !== "");
  }

  #signedIn(session, focus) {
    this.session = session;
    keep(session.expires_at);
    this.#frame.signed(session);
    this.#frame.streams("opening", null);
    this.picture = new Picture((before, after) => this.#moved(before, after));
    this.node = new NodeHealth(this.changed);
    this.#follow();
    this.#go(focus);
  }

  #follow() {
    this.#stream = new Stream(
      (event, data) => this.#heard(event, data),
      (state, refusal) => this.#streams(state, refusal),
    );
  }

  #heard(event, data) {
    this.picture.apply(event, data);
    this.#view?.heard?.(event, data);
    this.changed();
  }

  #streams(state, refusal) {
    if (state === "live") this.picture.begin();
    if (refusal?.status !== 401) this.#frame.streams(state, refusal);
  }

  #moved(before, after) {
    const clinic = this.picture.clinic(after.clinic);
    const shown = this.#view?.tells?.(before, after) ?? false;
    if (!shown || clinic === undefined) return;
    say(
      `${after.clinic}/${after.channel}`,
      t("live.moved", { clinic: clinic.name, channel: after.name, state: t(`state.${after.state}`) }),
    );
  }

  async #signOut() {
    this.#stream?.close(); // before the node cuts it
    try {
      await ask("DELETE", SESSION);
    } catch (error) {
      if (error.status !== 401) {
        this.#follow();
        return failed(error); // whoever walks away would leave a session that is good
      }
    }
    this.#end("");
  }

  #end(notice) {
    if (this.session === null) return;
    this.session = null;
    keep(null);
    this.#stream?.close();
    this.node?.close();
    this.#stream = null;
    for (const open of document.querySelectorAll("dialog")) open.close();
    forget();
    this.#frame.signed(null);
    this.#signIn(notice);
  }

  #go(focus = true) {
    if (this.session === null) return;
    const where = parsed(location.hash);
    const key = [where.view, where.clinic, where.channel].join("/");
    if (key === this.#where) return this.#view?.moved?.(where);
    const view = new VIEWS[where.view](this, where);
    this.#replace(view, where.view, focus);
    this.#where = key;
  }

  #replace(view, name, focus) {
    this.#view?.close?.();
    this.#where = "";
    this.#view = view;
    view.render(now());
    this.#frame.show(view, name, focus);
    this.#entitle();
  }
}

/** The session of an earlier visit, if it is likely to last: nobody who never signed in is asked who they are. */
async function remembered() {
  const until = Date.parse(localStorage.getItem(REMEMBERED) ?? "");
  if (!(until > Date.now())) return null;
  return ask("GET", SESSION).catch(() => null);
}

function keep(until) {
  if (until === null) localStorage.removeItem(REMEMBERED);
  else localStorage.setItem(REMEMBERED, until);
}

await speak(navigator.languages);
document.documentElement.lang = spoken.tag;
await new Page().start();
