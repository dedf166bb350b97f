// Bun: the native publish and subscribe of its WebSocket server (uWebSockets). Arguments: port, "deflate" or "plain".
const [port, encoding] = process.argv.slice(2);
const deflate = encoding === "deflate";

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  fetch(request, server) {
    const { pathname, searchParams } = new URL(request.url);
    const data = { room: searchParams.get("room"), publishes: pathname === "/publish" };
    return server.upgrade(request, { data }) ? undefined : new Response("", { status: 426 });
  },
  websocket: {
    perMessageDeflate: deflate,
    idleTimeout: 300,
    open(socket) {
      if (!socket.data.publishes) socket.subscribe(socket.data.room);
    },
    message(socket, text) {
      server.publish(socket.data.room, text, deflate);
    },
  },
});
