// Where one is: the part of the address after `#`, so that back, forward and bookmarks work.

export const OVERVIEW = "#/";
export const TREE = "#/tree";
export const toClinic = (clinic) => `#/clinic/${encodeURIComponent(clinic)}`;
export const toChannel = (clinic, channel) => `${toClinic(clinic)}/${encodeURIComponent(channel)}`;

/** `{view, clinic?, channel?, query}`; what is not known is the overview. */
export function parsed(hash) {
  const [path, search = ""] = hash.replace(/^#?\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  const query = new URLSearchParams(search);
  if (parts[0] === "tree") return { view: "tree", query };
  if (parts[0] === "clinic" && parts.length === 2) return { view: "clinic", clinic: parts[1], query };
  if (parts[0] === "clinic" && parts.length === 3)
    return { view: "channel", clinic: parts[1], channel: parts[2], query };
  return { view: "overview", query };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
