// What is refused before a byte is sent. The server decides; this only saves the user the wait.

// A dropped folder may hold thousands of files that a slot can't take; so many are told of.
const MOST_REFUSALS = 20;

/**
 * Which of `files` the slot takes, at most `free`, and why not the others: {file, code, message}. A
 * slot that is not known yet takes anything.
 */
export function sort(files, slot, free) {
  const judged = files.map((file) => ({ file, ...(slot && refusal(file, slot)) }));
  const good = judged.filter(({ code }) => !code).map(({ file }) => file);
  const refused = judged.filter(({ code }) => code).slice(0, MOST_REFUSALS);
  const left = good.slice(free);
  if (left.length) refused.push({ file: left[0], ...tooMany(slot, left.length) });
  return { taken: good.slice(0, free), refused };
}

function tooMany({ max_entries: places }, count) {
  const files = places === 1 ? "file" : "files";
  const others = count > 1 ? ` ${count} were left out.` : "";
  return {
    code: "too_many_files",
    message: `Only ${places} ${files} can be added here. Remove one to add another.${others}`,
  };
}

/** Why `file` can't go into the slot, as {code, message}, or null. */
export function refusal(file, slot) {
  if (file.size > slot.max_file_size) {
    return {
      code: "file_too_large",
      message: `The file is too large: at most ${readableSize(slot.max_file_size)} are accepted.`,
    };
  }
  if (!accepts(slot.accept, file)) {
    return {
      code: "type_not_accepted",
      message: "Files of this type are not accepted here. Accepted: "
        + `${slot.accept.split(",").map((token) => token.trim()).join(", ")}.`,
    };
  }
  return null;
}

/** As in HTML: a list of extensions and MIME types; an empty one accepts anything. */
function accepts(accept, file) {
  const tokens = accept.toLowerCase().split(",").map((token) => token.trim()).filter(Boolean);
  const name = file.name.toLowerCase();
  const type = file.type.toLowerCase();
  return !tokens.length || tokens.some((token) => {
    if (token.startsWith(".")) return name.endsWith(token);
    // Browsers know no type for many files; of those only the server can tell.
    if (type === "" || token === "*/*") return true;
    return token.endsWith("/*") ? type.startsWith(token.slice(0, -1)) : type === token;
  });
}

/** 1234567 as "1.2 MB". */
export function readableSize(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${Number.isInteger(bytes) ? bytes : bytes.toFixed(1)} ${units[unit]}`;
}
