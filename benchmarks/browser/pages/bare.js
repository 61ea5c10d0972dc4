// The limit: slices of the file as Blobs, over a socket on which nobody counts anything.

const FRAME = 8 * 1024 * 1024;
const WAITING = 2 * FRAME;

const socket = new WebSocket(`ws://${location.host}/ws/`);

document.querySelector("input").addEventListener("change", async ({ target }) => {
  begin(1);
  const [file] = target.files;
  const header = new Uint8Array(21);
  header[0] = 1;
  for (let start = 0; start < file.size; start += FRAME) {
    while (socket.bufferedAmount > WAITING) await new Promise((resolve) => setTimeout(resolve, 2));
    socket.send(new Blob([header, file.slice(start, start + FRAME)]));
  }
  socket.addEventListener("message", () => done(), { once: true });
  const ending = new Uint8Array(17);
  ending[0] = 2;
  socket.send(ending);
});
