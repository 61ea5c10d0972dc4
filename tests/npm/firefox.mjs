// Firefox, for the scripts beside this one.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

/** Returns what `act(page)` returns, together with the errors that the page has thrown. */
export async function inFirefox(modules, executablePath, act) {
  const require = createRequire(pathToFileURL(`${modules}/any.js`));
  const { default: puppeteer } = await import(pathToFileURL(require.resolve("puppeteer-core")));
  const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
  try {
    const page = await browser.newPage();
    const errors = [];
    page.on("pageerror", ({ message }) => errors.push(message));
    return { ...await act(page), errors };
  } finally {
    await browser.close();
  }
}
