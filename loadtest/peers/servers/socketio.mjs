// Node with socket.io, WebSocket transport alone. Argument: port.
import { createServer } from "node:http";
import { Server } from "socket.io";

const [port] = process.argv.slice(2);
const http = createServer();
const io = new Server(http, {
  path: "/ws",
  transports: ["websocket"],
  serveClient: false,
  httpCompression: false,
  perMessageDeflate: false,
});

// The manual's advice on memory: the first request is let go, once what is needed of it is known.
io.engine.on("connection", (socket) => {
  const { searchParams } = new URL(socket.request.url, "http://127.0.0.1");
  socket.room = searchParams.get("room");
  socket.publishes = searchParams.has("publishes");
  socket.request = null;
});

io.on("connection", (socket) => {
  const { room, publishes } = socket.conn;
  if (publishes) socket.on("say", (comment) => io.to(room).emit("comment", comment));
  else socket.join(room);
});

http.listen({ host: "127.0.0.1", port: Number(port), backlog: 4096 });
