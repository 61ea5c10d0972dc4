// Pictures that are made smaller before they are sent.

import { WORKER, shrink } from "./shrinking.js";

const TYPES = new Set(["image/jpeg", "image/png", "image/webp"]);

/** Whether the slot wants this file to be made smaller, if it needs to be. */
export function isToShrink(file, slot) {
  return Boolean(slot?.image_max_size) && TYPES.has(file.type);
}

/**
 * The picture with at most `longest` pixels on its longer side, upright, without what the camera has
 * written into it, such as the place. Resolves to the file itself if the browser can't do that.
 */
export async function shrunk(file, longest) {
  const blob = await inTurn(() => viaWorker(file, longest));
  const { name, type, lastModified, webkitRelativePath, relativePath } = file;
  if (blob?.type !== type) return file;
  const smaller = new File([blob], name, { type, lastModified });
  smaller.relativePath = webkitRelativePath || relativePath;
  return smaller;
}

let last = Promise.resolve();

/** One at a time: a picture of 40 megapixels takes 160 MB while it is decoded. */
function inTurn(work) {
  last = last.then(work, work);
  return last;
}

let worker = null;

/** In a thread of its own, so that the page goes on. */
async function viaWorker(file, longest) {
  try {
    const url = new URL("./shrinking.js", import.meta.url);
    worker ??= new Worker(url, { type: "module", name: WORKER });
    return await answer(worker, { file, longest });
  } catch {
    // For example, static files come from another host, which a worker may not.
    worker = null;
    return await shrink(file, longest);
  }
}

function answer(asked, message) {
  return new Promise((resolve, reject) => {
    asked.onmessage = ({ data }) => resolve(data);
    asked.onerror = (event) => {
      event.preventDefault();
      reject(new Error("no worker"));
    };
    asked.postMessage(message);
  });
}
