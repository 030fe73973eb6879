// Requests to the node, and its refusals in words.

import { adjust } from "./times.js";
import { has, t } from "./words.js";

const SLUG = /^urn:plantao:problem:/;

/** A request that was refused, or (`slug` is `offline`) did not get through. `slug`: the end of the problem's type. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? "");
    this.status = status;
    this.slug = status === 0 ? "offline" : (problem.type ?? "").replace(SLUG, "");
    this.title = problem.title || String(status);
    this.detail = problem.detail ?? "";
    this.field = problem.field ?? null;
    this.expected = problem.expected ?? null;
    this.incident = problem.incident ?? null;
  }
}

/** What went wrong, for people: `title` in their language where it is known, `detail` as the node put it (English). */
export function explained(error) {
  if (!(error instanceof Refusal)) return { title: t("problem.page"), detail: String(error) };
  const key = `problem.${error.slug}`;
  const title = has(key) ? t(key) : error.title;
  const incident = error.incident === null ? "" : ` (${error.incident})`;
  return { title, detail: error.detail + incident, field: error.field, expected: error.expected };
}

let signedOut = () => {};

/** Who is told when the session has ended. */
export function onSignedOut(told) {
  signedOut = told;
}

/** Ask the node. Answers with the JSON of the body, null if there is none. Raises Refusal. */
export async function ask(method, path, body) {
  const response = await reach(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return response.status === 204 ? null : response.json().catch(() => null);
}

/** The response to a request that was let in. Raises Refusal. */
export async function reach(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, {});
  }
  adjust(response.headers.get("Date"));
  if (response.ok) return response;
  const refusal = new Refusal(response.status, await response.json().catch(() => ({ title: response.statusText })));
  if (response.status === 401 && path !== SESSION) signedOut();
  throw refusal;
}

export const SESSION = "/api/v1/session";
export const CLINICS = "/api/v1/clinics";

/** The path of a clinic, of a channel of it, or of what is below that. */
export const of = (clinic, channel, ...more) =>
  [CLINICS, ...[clinic, ...(channel === undefined ? [] : ["channels", channel, ...more])].map(encodeURIComponent)].join(
    "/",
  );
