// What every measured page has: when the files were chosen, when the last of them was there, and
// how busy the page's thread was meanwhile.

window.measured = {};

let left = 0;

/** Begin to measure; `count` files were chosen. */
window.begin = (count) => {
  left = count;
  window.measured = { start: performance.now(), end: 0, longest: 0, inputs: [], answers: [] };
};

/** A file is there, or `count` of them. */
window.done = (count = 1) => {
  left -= count;
  if (left <= 0) window.measured.end ||= performance.now();
};

window.failed = (reason) => {
  window.measured.failed = String(reason);
};

// https://w3c.github.io/longtasks/: tasks of 50 ms and more.
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) {
    window.measured.longest = Math.max(window.measured.longest ?? 0, duration);
  }
}).observe({ type: "longtask" });

// The benchmark presses this button again and again: how long until the page has answered?
const probe = document.createElement("button");
probe.id = "probe";
probe.type = "button";
probe.textContent = "Probe";
probe.style.cssText = "position: fixed; top: 0; right: 0; z-index: 9999";
probe.addEventListener("click", (event) => {
  window.measured.inputs?.push(performance.now() - event.timeStamp);
  window.ask?.();
});
document.body.append(probe);
