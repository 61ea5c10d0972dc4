// Files that are refused for one reason, as one.

import { fill, gettext, ngettext } from "../texts/catalogue.js";
import { allOf, number } from "../texts/format.js";
import { isRefused } from "./states.js";

// So many refusals for one reason are shown one by one.
const FEW = 3;

// So many endings of names say what kinds of files there were.
const MOST_KINDS = 4;

/**
 * The uploads, and in place of many that are refused for one reason {key, code, error, members,
 * count}.
 */
export function groupsOf(uploads) {
  const refused = new Map();
  for (const upload of uploads.filter(isRefused)) {
    const key = reasonOf(upload);
    if (!refused.has(key)) refused.set(key, []);
    refused.get(key).push(upload);
  }
  const large = new Map(Array.from(refused).filter(([, members]) => countOf(members) > FEW));
  if (!large.size) return uploads;
  const single = uploads.filter((upload) => !large.has(reasonOf(upload)));
  return [...single, ...Array.from(large, ([key, members]) => groupOf(key, members))];
}

function reasonOf({ code, error }) {
  return `${code} ${error}`;
}

function groupOf(key, members) {
  const [{ code, error }] = members;
  return { key, code, error, members, count: countOf(members) };
}

/** `others` are files that were refused with the one that stands for them. */
function countOf(members) {
  return members.reduce((sum, { others = 0 }) => sum + 1 + others, 0);
}

/** "30 files not accepted: .bin". */
export function titleOf({ code, members, count }) {
  const said = { count: number(count) };
  if (code !== "type_not_accepted") {
    return fill(ngettext("{count} file not accepted", "{count} files not accepted", count), said);
  }
  const kinds = [...new Set(members.map(({ name }) => endingOf(name)))];
  const more = kinds.length > MOST_KINDS ? "…" : "";
  return fill(
    ngettext("{count} file not accepted: {kinds}", "{count} files not accepted: {kinds}", count),
    { ...said, kinds: allOf(kinds.slice(0, MOST_KINDS)) + more },
  );
}

function endingOf(name) {
  const at = name.lastIndexOf(".");
  return at > 0 ? name.slice(at).toLowerCase() : gettext("without an extension");
}
