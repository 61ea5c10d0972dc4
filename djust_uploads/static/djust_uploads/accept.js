// What is refused before a byte is sent. The server decides; this only saves the user the wait.

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
