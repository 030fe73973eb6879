// The language of the page, and all that depends on it: sentences, numbers, dates.

const TABLES = { en: () => import("./words-en.js"), pt: () => import("./words-pt.js") };

/** The first of `languages` that there is a table for, and the locale for numbers and dates; else English. */
export function choose(languages) {
  for (const locale of languages) {
    const language = locale.toLowerCase().split("-")[0];
    if (language === "pt") return { language, tag: "pt-BR", locale: "pt-BR" };
    if (language === "en") return { language, tag: "en", locale };
  }
  return { language: "en", tag: "en", locale: "en" };
}

/** `text` with `{name}` replaced by the value of that name. */
export function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
}

let table = {};
let counting = new Intl.PluralRules("en");
let numbers = new Intl.NumberFormat("en");
let order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
export let spoken = choose([]);

/** Speak the best of `languages` from now on. */
export async function speak(languages) {
  spoken = choose(languages);
  table = (await TABLES[spoken.language]()).default;
  counting = new Intl.PluralRules(spoken.locale);
  numbers = new Intl.NumberFormat(spoken.locale);
  order = new Intl.Collator(spoken.locale, { numeric: true, sensitivity: "base" });
}

/** The sentence `key`. With `n` among the values, the form for that many if there are `key.one` and `key.other`. */
export function t(key, values = {}) {
  let found = table[key];
  if (found === undefined && "n" in values)
    found = table[`${key}.${counting.select(values.n) === "one" ? "one" : "other"}`];
  return filled(found ?? key, "n" in values ? { ...values, n: number(values.n) } : values);
}

/** Whether there is a sentence `key`. */
export const has = (key) => key in table;

export const number = (value) => numbers.format(value);

/** For comparing names as people order them. */
export const collated = (a, b) => order.compare(a, b);
