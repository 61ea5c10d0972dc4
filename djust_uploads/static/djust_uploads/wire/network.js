// The browser's word on the network, and the end of connections that died without one.

// Where it said "offline" while the page was being loaded, it knows nothing: the server may be on
// this machine.
const trusted = globalThis.navigator?.onLine;

/** Whether there is no network, so that connecting can only fail. */
export function offline() {
  return trusted && !navigator.onLine;
}

/**
 * Be done with a socket whose network is gone. Its own end may come late or never: a browser first
 * sends what is buffered, and then waits for the other side's farewell.
 */
export function abandon(socket) {
  if (socket.readyState > WebSocket.OPEN) return;
  socket.close();
  // 1006: https://www.rfc-editor.org/rfc/rfc6455#section-7.1.5
  socket.dispatchEvent(new CloseEvent("close", { code: 1006 }));
}
