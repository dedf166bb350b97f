// Node with ws. Arguments: port, "plain" or "framed": each comment is framed once, as socket.io does.
import { Sender, WebSocketServer } from "ws";

const [port, variant] = process.argv.slice(2);
const rooms = new Map();

function fan_out(viewers, data) {
  if (variant === "framed") {
    const frame = Buffer.concat(
      Sender.frame(data, { fin: true, rsv1: false, opcode: 1, mask: false, readOnly: true }),
    );
    for (const viewer of viewers) viewer._sender.sendFrame([frame]);
    return;
  }
  for (const viewer of viewers) viewer.send(data, { binary: false });
}

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(port),
  backlog: 4096,
  clientTracking: false,
  perMessageDeflate: false,
});

server.on("connection", (socket, request) => {
  const { pathname, searchParams } = new URL(request.url, "http://127.0.0.1");
  const room = searchParams.get("room");
  if (!rooms.has(room)) rooms.set(room, new Set());
  const viewers = rooms.get(room);
  if (pathname === "/publish") {
    socket.on("message", (data) => fan_out(viewers, data));
    return;
  }
  viewers.add(socket);
  socket.on("close", () => viewers.delete(socket));
});
