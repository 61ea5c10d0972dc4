// Uploads one file through a page in Firefox, stores it, and prints what the page shows:
// firefox_page.mjs NODE_MODULES EXECUTABLE URL FILE
import { inFirefox } from "./firefox.mjs";

const [modules, executable, url, file] = process.argv.slice(2);

const told = await inFirefox(modules, executable, async (page) => {
  await page.evaluateOnNewDocument(() => {
    window.sent = { blobs: 0, buffers: 0 };
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (data) {
      if (data instanceof Blob) window.sent.blobs += 1;
      if (data instanceof ArrayBuffer) window.sent.buffers += 1;
      return send.call(this, data);
    };
  });
  await page.goto(url);
  const input = await page.waitForSelector("[dj-upload][multiple]");
  await input.uploadFile(file);
  await page.waitForSelector("[data-status=complete]", { timeout: 120_000 });
  await page.evaluate(() => document.querySelector("form[dj-submit]").requestSubmit());
  await page.waitForSelector(".sha256", { timeout: 60_000 });
  const sha256 = await page.$eval(".sha256", (element) => element.textContent);
  return { sha256, sent: await page.evaluate(() => window.sent) };
});
console.log(JSON.stringify(told));
