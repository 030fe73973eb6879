// Signing in with an API key, for which the node gives a session that no script can read.

import { ask, Refusal, SESSION } from "./api.js";
import { field, form } from "./dialogs.js";
import { h } from "./dom.js";
import { t } from "./words.js";

export class SignIn {
  heading = h("h1", { tabindex: "-1" }, t("signin.title"));

  constructor(signedIn, notice) {
    const key = field("key", t("signin.key"), {
      type: "password",
      autocomplete: "current-password",
      required: true,
      autofocus: true,
      spellcheck: "false",
      hint: t("signin.hint"),
    });
    const submit = async (values) =>
      signedIn(await ask("POST", SESSION, { key: values.key }).catch((error) => this.#explain(error)));
    const signIn = form([key], t("signin.submit"), submit);
    // For managers of passwords, which keep a name with each.
    signIn.prepend(h("input", { type: "text", autocomplete: "username", value: location.host, hidden: true }));
    this.root = h(
      "div",
      { class: "signin" },
      this.heading,
      notice && h("p", { class: "notice", role: "status" }, notice),
      h("p", {}, t("signin.text")),
      signIn,
    );
  }

  #explain(error) {
    if (!(error instanceof Refusal) || error.status !== 401) throw error;
    throw new Refusal(400, {
      type: "urn:plantao:problem:invalid-input",
      detail: error.detail,
      field: "key",
      expected: t("signin.wrong"),
    });
  }

  title = () => t("signin.title");

  render() {}
}
