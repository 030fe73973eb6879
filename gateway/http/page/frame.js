// What stands around every view: who is signed in, where one can go, and whether what is shown is live.

import { h, setAttribute, setHidden, setText } from "./dom.js";
import { button } from "./parts.js";
import { OVERVIEW, TREE } from "./routes.js";
import { foreign, places } from "./telling.js";
import { explained } from "./api.js";
import { t } from "./words.js";

/** The frame. `signOut` and `again` (try the stream now) are what its buttons do. */
export class Frame {
  main = h("main", { id: "main", tabindex: "-1" });
  #links = { overview: h("a", { href: OVERVIEW }, t("nav.overview")), tree: h("a", { href: TREE }, t("nav.tree")) };
  #live = h("span", { class: "live" });
  #who = h("span", { class: "who" });
  #said = h("span");
  #nav;
  #session;
  #banner;

  constructor(signOut, again) {
    this.#nav = h("nav", { "aria-label": t("nav.label") }, this.#links.overview, this.#links.tree);
    this.#session = h("div", { class: "session" }, this.#live, this.#who, button(t("nav.sign_out"), signOut, "quiet"));
    this.#banner = h(
      "div",
      { class: "banner", role: "alert", hidden: true },
      this.#said,
      " ",
      button(t("stream.again"), again, "quiet"),
    );
    const skip = h("a", { class: "skip", href: "#main" }, t("nav.skip"));
    skip.addEventListener("click", (event) => {
      event.preventDefault(); // the address is the view's
      this.main.focus();
    });
    document.body.replaceChildren(
      skip,
      h(
        "header",
        {},
        h(
          "a",
          { class: "brand", href: OVERVIEW },
          h("img", { src: "/page/icon.svg", alt: "", width: 22, height: 22 }),
          "Plantão",
        ),
        this.#nav,
        this.#session,
      ),
      this.#banner,
      this.main,
      ...places(),
    );
    this.signed(null);
  }

  /** Who is signed in now; null: nobody. */
  signed(session) {
    setHidden(this.#nav, session === null);
    setHidden(this.#session, session === null);
    setText(
      this.#who,
      session === null ? "" : t("nav.who", { name: session.name || session.key_id, role: t(`role.${session.role}`) }),
    );
    if (session === null) this.streams("none", null);
  }

  /** How the stream is: `none`, `opening`, `live` or `lost`. */
  streams(state, refusal) {
    setText(this.#live, state === "none" ? "" : t(`stream.${state}`));
    this.#live.className = `live ${state}`;
    const lost = state === "lost";
    if (lost) {
      const { title } = refusal === null ? { title: "" } : explained(refusal);
      setText(this.#said, `${t("stream.banner")} ${title}`.trim());
      setAttribute(this.#said, "lang", refusal !== null && title === refusal.title ? foreign("en") : null);
    }
    setHidden(this.#banner, !lost);
    document.body.classList.toggle("stale", lost);
  }

  /** Show `view`, and have who listens begin there: at its heading. */
  show(view, name, focus) {
    for (const [link, node] of Object.entries(this.#links))
      setAttribute(node, "aria-current", link === name ? "page" : null);
    this.main.replaceChildren(view.root);
    if (!focus) return;
    scrollTo(0, 0);
    (view.heading ?? this.main).focus({ preventScroll: true });
  }
}
