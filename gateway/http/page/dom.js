// Nodes: made from data as text, never as markup, and changed only where something is different.

const SVG = "http://www.w3.org/2000/svg";

/** An element. An attribute that is a function listens to the event it is named for (`onclick`); true and false set or
 *  leave out; null and undefined leave out. Children are nodes or text; null, undefined and false are none. */
export function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else setAttribute(node, name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

/** Have `node` hold this text and nothing else. */
export function setText(node, text) {
  const wanted = text ?? "";
  const only = node.firstChild;
  if (only !== null && only === node.lastChild && only.nodeType === Node.TEXT_NODE) {
    if (only.data !== wanted) only.data = wanted;
  } else if (wanted !== "" || only !== null) node.textContent = wanted;
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

/** A drawing of 16 × 16 made of paths; it says nothing to who cannot see it: a word stands beside it. */
export function drawing(kind, ...paths) {
  const node = document.createElementNS(SVG, "svg");
  node.setAttribute("viewBox", "0 0 16 16");
  node.setAttribute("class", `icon ${kind}`);
  node.setAttribute("aria-hidden", "true");
  for (const path of paths) {
    const part = document.createElementNS(SVG, "path");
    part.setAttribute("d", path);
    node.append(part);
  }
  return node;
}

const ROWS = Symbol("rows");

/** Have the children of `parent` be one row for each of `items`, in this order. Rows stay with their `key`;
 *  `make(item)` gives a new one as `{node, update(item)}`. What has the focus keeps it when rows change places. */
export function keyed(parent, items, key, make) {
  const rows = (parent[ROWS] ??= new Map());
  const wanted = new Set(items.map(key));
  const focus = document.activeElement;
  for (const [id, row] of rows) {
    if (wanted.has(id)) continue;
    row.node.remove();
    rows.delete(id);
  }
  let place = parent.firstChild;
  for (const item of items) {
    const id = key(item);
    if (!rows.has(id)) rows.set(id, make(item));
    const row = rows.get(id);
    row.update?.(item);
    if (row.node === place) place = place.nextSibling;
    else parent.insertBefore(row.node, place);
  }
  if (focus !== document.activeElement && focus?.isConnected) focus.focus({ preventScroll: true });
}
