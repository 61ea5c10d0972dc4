// What the page shows of the uploads: a preview and a progress row for each file.

import { readableSize } from "../uploads/accept.js";

/**
 * Keeps containers in step with the uploads. Elements are made once for an upload and container and
 * then moved along, so that a page that is patched around them loses nothing.
 */
export class Rows {
  #uploads;
  #elements = new WeakMap();
  #previews = new Map();

  constructor(uploads) {
    this.#uploads = uploads;
  }

  render(root = document) {
    for (const container of root.querySelectorAll("[dj-upload-preview]")) {
      const shown = this.#uploads.of(container.getAttribute("dj-upload-preview"));
      this.#fill(container, shown.filter((upload) => !upload.error), (upload) => this.#preview(upload));
    }
    for (const container of root.querySelectorAll("[dj-upload-progress]")) {
      const shown = this.#uploads.of(container.getAttribute("dj-upload-progress"));
      this.#fill(container, shown, (upload) => this.#row(upload), updateRow);
    }
    this.#revokeUnused();
  }

  #fill(container, uploads, create, update = () => {}) {
    if (!this.#elements.has(container)) this.#elements.set(container, new Map());
    const elements = this.#elements.get(container);
    for (const [upload, element] of elements) {
      if (uploads.includes(upload)) continue;
      element.remove();
      elements.delete(upload);
    }
    uploads.forEach((upload, position) => {
      if (!elements.has(upload)) elements.set(upload, create(upload));
      const element = elements.get(upload);
      update(element, upload);
      if (container.children[position] !== element) {
        container.insertBefore(element, container.children[position] ?? null);
      }
    });
  }

  #preview(upload) {
    const item = element("figure", "upload-preview-item");
    const { file, standIn } = upload;
    if (file.type.startsWith("image/") && !standIn) item.append(this.#image(upload));
    const caption = element("figcaption", "upload-preview-caption");
    caption.append(
      element("span", "upload-preview-name", upload.name),
      element("span", "upload-preview-size", readableSize(upload.size)),
    );
    item.append(caption);
    return item;
  }

  #image(upload) {
    const image = element("img", "upload-preview-image");
    image.alt = ""; // the caption says it
    // An image that the browser can't show, or that its Content-Security-Policy forbids.
    image.addEventListener("error", () => image.remove());
    if (!this.#previews.has(upload)) {
      this.#previews.set(upload, URL.createObjectURL(upload.file));
    }
    image.src = this.#previews.get(upload);
    return image;
  }

  /** An object URL keeps its file alive until it is revoked. */
  #revokeUnused() {
    for (const [upload, url] of this.#previews) {
      if (this.#uploads.of(upload.uploadName).includes(upload) && !upload.error) continue;
      URL.revokeObjectURL(url);
      this.#previews.delete(upload);
    }
  }

  #row(upload) {
    const row = element("div", "upload-progress-item");
    const track = element("div", "upload-progress-track");
    const bar = element("div", "upload-progress-bar");
    bar.setAttribute("role", "progressbar");
    bar.setAttribute("aria-label", upload.name);
    bar.setAttribute("aria-valuemin", "0");
    bar.setAttribute("aria-valuemax", "100");
    track.append(bar);
    const cancel = element("button", "upload-cancel", "×");
    cancel.type = "button";
    cancel.setAttribute("aria-label", `Remove ${upload.name}`);
    cancel.addEventListener("click", () => {
      focusNext(row);
      this.#uploads.cancel(upload.ref);
    });
    const error = element("p", "upload-error");
    error.setAttribute("role", "alert");
    const announcement = element("span", "upload-announcement");
    announcement.setAttribute("role", "status");
    row.append(
      element("span", "upload-progress-name", upload.name),
      track,
      element("span", "upload-progress-text"),
      cancel,
      error,
      announcement,
    );
    return row;
  }
}

function updateRow(row, upload) {
  row.dataset.uploadRef = upload.ref;
  row.dataset.status = upload.status;
  const bar = row.querySelector(".upload-progress-bar");
  bar.style.width = `${upload.progress}%`;
  bar.setAttribute("aria-valuenow", upload.progress);
  setText(row.querySelector(".upload-progress-text"), words(upload));
  setText(row.querySelector(".upload-error"), upload.error ?? "");
  const announced = upload.status === "complete" ? `${upload.name} is uploaded.` : "";
  setText(row.querySelector(".upload-announcement"), announced);
}

/** The focus must not be lost with the button that had it. */
function focusNext(row) {
  const next = row.nextElementSibling ?? row.previousElementSibling;
  const name = CSS.escape(row.parentNode.getAttribute("dj-upload-progress"));
  const input = document.querySelector(`input[dj-upload="${name}"]`);
  (next?.querySelector(".upload-cancel") ?? input)?.focus();
}

function words(upload) {
  switch (upload.status) {
    case "chosen": return "Ready";
    case "waiting": return "Waiting for the connection";
    case "queued": return "Waiting";
    case "resuming": return "Resuming";
    case "finalizing": return "Finishing";
    case "error": return "Failed";
    default: return `${upload.progress}%`;
  }
}

// Writing the same text again would count as a change of the page.
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function element(name, className, text = "") {
  const node = document.createElement(name);
  node.className = className;
  node.textContent = text;
  return node;
}
