// Small pictures of the files: decoded outside of the page's thread, a few at a time.

import { element } from "./elements.js";

// Pixels of the longer side: enough for a large tile on a screen with two pixels for each of CSS.
const LONGEST = 640;

// A picture with no more pixels is shown as it is; it takes at most 4 MB of memory.
const FEW_PIXELS = 1_000_000;

// Decoding one of 40 megapixels takes 160 MB for a moment.
const AT_ONCE = 2;

/** Browsers can't decode these to a bitmap, or they have no size of their own. */
const AS_THEY_ARE = new Set(["image/svg+xml"]);

export class Thumbnails {
  #running = 0;
  #queue = [];

  /** The thumbnail of a file, which may be `null`, to be shown in `place`. */
  of(file, place) {
    const kind = file?.type.split("/")[0];
    return ["image", "video"].includes(kind) ? new Thumbnail(file, kind, place, this) : null;
  }

  /** Run a function as soon as few others run. */
  async turn(work) {
    if (this.#running >= AT_ONCE) await new Promise((resolve) => this.#queue.push(resolve));
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
      this.#queue.shift()?.();
    }
  }
}

class Thumbnail {
  #file;
  #kind;
  #image = element("img", "upload-preview-image");
  #thumbnails;
  #url = null;
  #released = false;
  #begun = false;

  constructor(file, kind, place, thumbnails) {
    this.#file = file;
    this.#kind = kind;
    this.#thumbnails = thumbnails;
    this.#image.alt = ""; // its name is beside it
    this.#image.hidden = true;
    this.#image.decoding = "async";
    place.append(this.#image);
  }

  async load() {
    if (this.#begun) return;
    this.#begun = true;
    try {
      await (this.#kind === "video" ? this.#loadFrame() : this.#loadImage());
      this.#image.hidden = false;
    } catch {
      this.release(); // the browser can't show it, so its icon stays
      this.#image.remove();
    }
  }

  /** An object URL keeps its file alive until it is revoked. */
  release() {
    this.#released = true;
    this.#show(null);
  }

  async #loadImage() {
    if (blobsAreForbidden()) {
      await this.#paint();
      return;
    }
    this.#show(this.#file);
    try {
      await event(this.#image, "load");
    } catch (error) {
      if (!blobsAreForbidden()) throw error;
      await this.#paint();
      return;
    }
    const { naturalWidth: width, naturalHeight: height } = this.#image;
    if (width * height <= FEW_PIXELS || AS_THEY_ARE.has(this.#file.type)) return;
    const small = await this.#inTurn(() => shrunk(this.#file, width, height));
    this.#show(small);
    if (small) await event(this.#image, "load");
  }

  async #loadFrame() {
    const blob = await this.#inTurn(() => firstFrame(this.#file));
    this.#show(blob);
    if (blob) await event(this.#image, "load");
  }

  /** What `make` resolves to, or null if nobody wants it any more. */
  #inTurn(make) {
    return this.#thumbnails.turn(() => this.#released ? null : make());
  }

  /** Without a URL, where the page's policy does not let it show one. */
  async #paint() {
    this.#show(null);
    const options = { resizeHeight: LONGEST / 2, resizeQuality: "medium" };
    const bitmap = await this.#thumbnails.turn(() => createImageBitmap(this.#file, options));
    const canvas = element("canvas", this.#image.className);
    drawn(bitmap, canvas);
    this.#image.replaceWith(canvas);
  }

  #show(blob) {
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = blob && !this.#released ? URL.createObjectURL(blob) : null;
    if (this.#url) this.#image.src = this.#url;
  }
}

/**
 * Which of the two is the width is known only when the picture was turned upright, which happens
 * while it is decoded. So only the height is given, and no side gets longer than LONGEST.
 */
async function shrunk(file, one, other) {
  const resizeHeight = Math.ceil(LONGEST * Math.min(one, other) / Math.max(one, other));
  const bitmap = await createImageBitmap(file, { resizeHeight, resizeQuality: "medium" });
  return await encoded(drawn(bitmap, document.createElement("canvas")));
}

async function firstFrame(file) {
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "auto";
  video.src = URL.createObjectURL(file);
  try {
    await event(video, "loadeddata");
    const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(video.videoWidth * scale));
    canvas.height = Math.max(1, Math.round(video.videoHeight * scale));
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    return await encoded(canvas);
  } finally {
    URL.revokeObjectURL(video.src);
    video.removeAttribute("src");
    video.load(); // lets go of the decoder
  }
}

function drawn(bitmap, canvas) {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  // To transfer the bitmap would be cheaper, but Chromium then forgets to turn it.
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas;
}

function encoded(canvas) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => blob ? resolve(blob) : reject(new Error("not encoded")), "image/webp");
  });
}

function event(target, type) {
  return new Promise((resolve, reject) => {
    target.addEventListener(type, resolve, { once: true });
    target.addEventListener("error", () => reject(new Error(`no ${type}`)), { once: true });
  });
}

let forbidden = false;

/** Whether the page's Content-Security-Policy was seen to forbid `blob:` images. */
function blobsAreForbidden() {
  return forbidden;
}

document.addEventListener("securitypolicyviolation", ({ blockedURI, effectiveDirective }) => {
  if (blockedURI === "blob" && effectiveDirective === "img-src") forbidden = true;
});
