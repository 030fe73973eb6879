// Pairing: the QR code of now with the time it has left, or a code that is typed on the phone.

import { ask, of } from "./api.js";
import { field, form } from "./dialogs.js";
import { h, setAttribute, setHidden, setText } from "./dom.js";
import { phone as phoneNumber } from "./parts.js";
import { say } from "./telling.js";
import { setTime, ticking } from "./times.js";
import { t } from "./words.js";

const PAIRABLE = new Set(["initializing", "qr_required", "disconnected", "logged_out", "reconnecting"]);

export class Pairing {
  #clinic;
  #channel;
  #typed = null;
  #shown = null;
  #picture = h("img", { class: "qr", width: 264, height: 264, hidden: true });
  #left = ticking("left");
  #expiry = h("p", { class: "expiry" }, `${t("pairing.valid")} `, this.#left);
  #waiting = h("p", {}, t("pairing.waiting"));
  #scan = h(
    "div",
    { class: "scan" },
    h("div", { class: "frame" }, this.#picture, this.#waiting, this.#expiry),
    h(
      "ol",
      {},
      ["pairing.step_open", "pairing.step_devices", "pairing.step_scan"].map((key) => h("li", {}, t(key))),
    ),
  );
  #code = h("output", { class: "code" });
  #codeLeft = ticking("left");
  #codeText = h("p");
  #issued = h(
    "div",
    { class: "issued", hidden: true },
    this.#codeText,
    this.#code,
    h("p", { class: "expiry" }, `${t("pairing.valid")} `, this.#codeLeft),
  );

  constructor(clinic, channel) {
    this.#clinic = clinic;
    this.#channel = channel;
    const phone = field("phone", t("pairing.phone"), {
      type: "tel",
      inputmode: "tel",
      autocomplete: "off",
      required: true,
      hint: t("pairing.phone_hint"),
    });
    const byPhone = h(
      "details",
      {},
      h("summary", {}, t("pairing.by_phone")),
      form([phone], t("pairing.get_code"), (values) => this.#ask(values)),
      this.#issued,
    );
    this.#picture.alt = t("pairing.alt");
    // The code went meanwhile; the next follows.
    this.#picture.addEventListener("error", () => setHidden(this.#picture, true));
    this.root = h(
      "section",
      { class: "panel pairing", "aria-labelledby": "pairing", hidden: true },
      h("h2", { id: "pairing" }, t("pairing.title")),
      this.#scan,
      byPhone,
    );
  }

  render(channel, shown, now) {
    if (channel.state === "connected") this.#typed = null;
    const typed = this.#typed !== null && Date.parse(this.#typed.expires_at) > now;
    setHidden(
      this.root,
      !(PAIRABLE.has(channel.state) && (channel.state === "qr_required" || channel.jid === null)) && !typed,
    );
    setHidden(this.#scan, channel.state !== "qr_required");
    setHidden(this.#issued, !typed);
    const code = shown !== undefined && Date.parse(shown.expires_at) > now ? shown : undefined;
    setHidden(this.#waiting, code !== undefined);
    setHidden(this.#expiry, code === undefined);
    if (code?.code !== this.#shown) this.#show(code);
    setTime(this.#left, code?.expires_at ?? null);
  }

  #show(code) {
    if (code === undefined) setHidden(this.#picture, true);
    else {
      setAttribute(
        this.#picture,
        "src",
        `${of(this.#clinic, this.#channel)}/qr.png?until=${encodeURIComponent(code.expires_at)}`,
      );
      setHidden(this.#picture, false);
    }
    if (this.#shown === null && code !== undefined) say("qr", t("pairing.ready")); // once; not for each that follows
    this.#shown = code?.code;
  }

  async #ask({ phone }) {
    const answer = await ask("POST", of(this.#clinic, this.#channel, "pair"), { phone: phone.replace(/\D/g, "") });
    this.#typed = answer;
    const text = t("pairing.type", { phone: phoneNumber(answer.phone) });
    say("code", `${text} ${answer.code}`);
    setText(this.#codeText, text);
    setText(this.#code, answer.code);
    setTime(this.#codeLeft, answer.expires_at);
    setHidden(this.#issued, false);
  }
}
