// Making a picture smaller. Runs as a worker, too.

// Good enough that nobody sees a difference, at a fraction of the bytes.
const QUALITY = 0.9;

/** The name of the worker that this module is. */
export const WORKER = "djust-uploads-shrinking";

// Where an animated picture says that it is one.
const HEAD_SIZE = 4096;

/** The smaller picture as a Blob, or `null` if it can't be made, or would lose its animation. */
export async function shrink(file, longest) {
  try {
    if (await isAnimated(file)) return null;
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
    const canvas = new OffscreenCanvas(
      Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)),
    );
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return await canvas.convertToBlob({ type: file.type, quality: QUALITY });
  } catch {
    return null; // it is gone, or no picture, or one that this browser does not know
  }
}

/** APNG has a chunk for it: https://www.w3.org/TR/png-3/#acTL-chunk; WebP a chunk, too. */
async function isAnimated(file) {
  const head = await file.slice(0, HEAD_SIZE).arrayBuffer();
  const text = new TextDecoder("latin1").decode(head);
  const marks = { "image/png": "acTL", "image/webp": "ANIM" };
  return file.type in marks && text.includes(marks[file.type]);
}

// The worker of another module may import this one, too.
if (globalThis.name === WORKER) {
  addEventListener("message", async ({ data: { file, longest } }) => {
    postMessage(await shrink(file, longest));
  });
}
