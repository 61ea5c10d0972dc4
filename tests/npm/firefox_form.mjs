// Fills in a form with a file in Firefox: first wrongly, so that it comes back, and then rightly.
// Prints where the browser is in the end, and how the file was sent:
// firefox_form.mjs NODE_MODULES EXECUTABLE URL FILE
import { inFirefox } from "./firefox.mjs";

const [modules, executable, url, file] = process.argv.slice(2);

const told = await inFirefox(modules, executable, async (page) => {
  let patches = 0;
  page.on("request", (request) => {
    if (request.method() === "PATCH") patches += 1;
  });
  const save = async (title) => {
    await page.$eval("[name=title]", (input, value) => { input.value = value; }, title);
    await Promise.all([page.waitForNavigation(), page.click("button:not([type=button])")]);
  };
  await page.goto(url);
  const input = await page.waitForSelector("[name=file]");
  await input.uploadFile(file);
  await save("   ");
  const returned = await page.$eval("form", (form) => form.innerText);
  const sent = patches;
  await save("a title");
  return { returned, sent, sentAgain: patches - sent, url: page.url() };
});
console.log(JSON.stringify(told));
