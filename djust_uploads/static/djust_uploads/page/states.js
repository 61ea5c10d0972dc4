// What the page says of an upload and what may be done with it.

import { gettext } from "../texts/catalogue.js";
import { percent } from "../texts/format.js";

/** What goes wrong on the way. Any other code, an application's own too, is of a refusal. */
const FAILURES = new Set([
  "chunk_out_of_order", "chunk_too_large", "duplicate_ref", "expired", "invalid_message",
  "limit_exceeded", "locked", "not_resumable", "not_scanned", "protocol_error", "quota_exceeded",
  "session_ended", "size_mismatch", "storage_error", "storage_full", "storage_misconfigured",
  "storage_unavailable", "timeout", "too_many_chunks", "unauthenticated", "unknown_upload",
  "unreadable", "upload_failed",
]);

/** Whether the slot did not want the file, as against what went wrong on the way. */
export function isRefused(upload) {
  return upload.status === "error" && !FAILURES.has(upload.code);
}

export function isPaused({ paused, ended }) {
  return paused && !ended;
}

/** Which buttons an upload has besides the one that takes it away. */
export function actionsOf(upload) {
  if (isPaused(upload)) return ["resume"];
  // Without a connection nothing is sent that a pause could save.
  if (upload.pausable && upload.status !== "waiting") return ["pause"];
  const again = upload.status === "error" && !isRefused(upload) && upload.code !== "unreadable";
  return again && !upload.standIn ? ["retry"] : [];
}

export function iconOf(upload) {
  if (isPaused(upload)) return "paused";
  switch (upload.status) {
    case "chosen": return "ready";
    case "complete": return "done";
    case "error": return isRefused(upload) ? "refused" : "failed";
    case "preparing": case "queued": case "waiting": return "waiting";
    default: return "uploading";
  }
}

export function wordOf(upload) {
  if (isPaused(upload)) return gettext("Paused");
  switch (upload.status) {
    case "chosen": return gettext("Ready");
    case "preparing": return gettext("Being made smaller");
    case "waiting":
      return upload.measured ? gettext("Waiting for the connection") : gettext("Waiting");
    case "queued": return gettext("Waiting");
    case "resuming": return gettext("Resuming");
    case "finalizing": return gettext("Finishing");
    case "error": return isRefused(upload) ? gettext("Not accepted") : gettext("Failed");
    default: return percent(upload.progress);
  }
}

/** The kind of a file, for the icon of one that has no picture. */
export function kindOf({ type }) {
  const kinds = { image: "picture", video: "video", audio: "sound" };
  return kinds[type.split("/")[0]] ?? "file";
}
