// Questions before what cannot be taken back, and forms that make something new.

import { ask, CLINICS, explained, of } from "./api.js";
import { h, setHidden, setText } from "./dom.js";
import { busy } from "./parts.js";
import { toChannel, toClinic } from "./routes.js";
import { foreign } from "./telling.js";
import { plain } from "./trouble.js";
import { t } from "./words.js";

/** What is known to be refused is not asked for. */
const PHONE = /^(\+?[\s().-]*[1-9]([\s().-]*\d){6,14}[\s]*|[\d-]+@(s\.whatsapp\.net|lid|g\.us))$/;
const CHECKS = { id: /^[a-z0-9][a-z0-9_-]{0,62}$/, phone: PHONE, to: PHONE };

let count = 0;
const unique = (name) => `${name}-${(count += 1)}`;

/** A field with its label, what is to be entered, and what was wrong with it. */
export function field(name, label, { hint, ...attributes } = {}) {
  const id = unique(name);
  const input = h(attributes.rows ? "textarea" : "input", { id, name, ...attributes });
  const help = hint && h("p", { class: "hint", id: `${id}-hint` }, hint);
  const wrong = h("p", { class: "wrong", id: `${id}-wrong`, hidden: true });
  input.setAttribute("aria-describedby", [help && `${id}-hint`, `${id}-wrong`].filter(Boolean).join(" "));
  return {
    node: h("div", { class: "field" }, h("label", { for: id }, label), help, input, wrong),
    input,
    wrong(text, lang = null) {
      setText(wrong, text ?? "");
      setHidden(wrong, !text);
      if (lang) wrong.lang = lang;
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}

/** A form: `submit(values)` is called with the fields' trimmed values; what it refuses is told at the field that is
 *  named, or above the buttons. */
export function form(fields, submitLabel, submit, { cancel, kind = "primary" } = {}) {
  const summary = h("div", { class: "wrong", role: "alert" });
  const button = h("button", { class: kind }, submitLabel);
  const node = h(
    "form",
    { novalidate: true },
    fields.map((one) => one.node),
    summary,
    h(
      "div",
      { class: "buttons" },
      button,
      cancel && h("button", { type: "button", onclick: cancel, autofocus: fields.length === 0 }, t("dialog.cancel")),
    ),
  );
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(button, () => submitted(fields, summary, submit));
  });
  return node;
}

async function submitted(fields, summary, submit) {
  summary.replaceChildren();
  for (const one of fields) one.wrong("");
  for (const { input, wrong } of fields) {
    const text = input.value.trim();
    const why =
      text === ""
        ? input.required && t("form.required")
        : CHECKS[input.name]?.test(text) === false && t(`form.expected.${input.name}`);
    if (!why) continue;
    wrong(why);
    input.focus();
    return;
  }
  try {
    await submit(Object.fromEntries(fields.map((one) => [one.input.name, one.input.value.trim()])));
  } catch (error) {
    refused(error, fields, summary);
  }
}

function refused(error, fields, summary) {
  const { title, detail, field: name, expected } = explained(error);
  const at = fields.find((one) => one.input.name === name);
  if (at !== undefined) {
    const key = `form.expected.${name}`;
    at.wrong(t(key) === key ? expected : t(key), t(key) === key ? foreign("en") : null);
    at.input.focus();
    return;
  }
  summary.append(h("p", {}, h("strong", {}, title)), detail ? h("p", { lang: foreign("en") }, detail) : "");
}

/** A dialog over the page. `content(close)` gives what is in it; the focus goes back to where it was when it closes. */
export function dialog(title, content) {
  const id = unique("title");
  const node = h("dialog", { "aria-labelledby": id });
  const close = () => node.close();
  node.append(h("div", {}, h("h2", { id }, title), ...content(close)));
  node.addEventListener("close", () => {
    node.remove();
    // What it was opened from may be gone by now.
    if (document.activeElement === document.body) document.querySelector("main h1")?.focus();
  });
  node.addEventListener("click", (event) => {
    if (event.target === node) close(); // outside of it
  });
  document.body.append(node);
  node.showModal();
  return node;
}

/** Ask before doing. `word`: what has to be typed, for what is lost for good. Whether it was done; a
 *  refusal is told in the dialog. */
export function confirmed({ title, text, label, danger = false, word = null }, act) {
  return new Promise((resolve) => {
    let acted = false;
    const described = unique("text");
    const node = dialog(title, (close) => {
      const typed =
        word === null
          ? []
          : [
              field("confirm", t("confirm.type", { word }), {
                autocomplete: "off",
                required: true,
                autocapitalize: "none",
                spellcheck: "false",
              }),
            ];
      const submit = async (values) => {
        if (word !== null && values.confirm !== word) {
          typed[0].wrong(t("confirm.mistyped", { word }));
          typed[0].input.focus();
          return;
        }
        await act();
        acted = true;
        close();
      };
      return [
        h("p", { id: described }, text),
        form(typed, label, submit, { cancel: close, kind: danger ? "danger" : "primary" }),
      ];
    });
    node.setAttribute("aria-describedby", described);
    node.addEventListener("close", () => resolve(acted));
  });
}

/** An identifier made from a name: `Clínica São João` → `clinica-sao-joao`. */
export const identifier = (name) =>
  plain(name)
    .replace(/[^a-z0-9_]+/g, "-")
    .replace(/^[-_]+|-+$/g, "")
    .slice(0, 63);

function named(nameHint) {
  const name = field("name", t("form.name"), {
    required: true,
    maxlength: 120,
    autocomplete: "off",
    autofocus: true,
    hint: nameHint,
  });
  const id = field("id", t("form.id"), {
    required: true,
    maxlength: 63,
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    hint: t("form.id_hint"),
  });
  let own = false;
  id.input.addEventListener("input", () => (own = id.input.value !== ""));
  name.input.addEventListener("input", () => {
    if (!own) id.input.value = identifier(name.input.value);
  });
  return [name, id];
}

export function createClinic() {
  dialog(t("create.clinic"), (close) => {
    const zones = h(
      "datalist",
      { id: unique("zones") },
      Intl.supportedValuesOf("timeZone").map((value) => h("option", { value })),
    );
    const zone = field("timezone", t("form.timezone"), {
      value: "America/Sao_Paulo",
      autocomplete: "off",
      spellcheck: "false",
      list: zones.id,
      hint: t("form.timezone_hint"),
    });
    const create = async ({ name, id, timezone }) => {
      await ask("POST", CLINICS, { id, name, ...(timezone ? { timezone } : {}) });
      close();
      location.hash = toClinic(id);
    };
    return [form([...named(t("form.clinic_hint")), zone], t("create.submit"), create, { cancel: close }), zones];
  });
}

export function createChannel(clinic) {
  dialog(t("create.channel_in", { clinic: clinic.name }), (close) => {
    const create = async ({ name, id }) => {
      await ask("POST", `${of(clinic.id)}/channels`, { id, name });
      close();
      location.hash = toChannel(clinic.id, id);
    };
    return [
      h("p", {}, t("create.channel_text")),
      form(named(t("form.channel_hint")), t("create.submit"), create, { cancel: close }),
    ];
  });
}
