// What the files of a slot are together.

import { secondsFor } from "./speed.js";

/**
 * The numbers of the files, of the complete and of the failed ones; their bytes, and those that are
 * there; the `rate` in bytes a second, and the seconds that are left, or null.
 */
export function totalOf(uploads, rate) {
  const live = uploads.filter((upload) => upload.live);
  const sum = (key) => live.reduce((sum, upload) => sum + upload[key], 0);
  const [size, loaded] = [sum("size"), sum("loaded")];
  return {
    files: live.length,
    complete: live.filter((upload) => upload.status === "complete").length,
    failed: uploads.length - live.length,
    size,
    loaded,
    rate,
    secondsLeft: secondsFor(size - loaded, rate),
  };
}
