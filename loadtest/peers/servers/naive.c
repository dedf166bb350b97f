/* The naive limit: one thread, epoll, one send() for each viewer and comment, nothing else. One room; argument: port.
 *
 * A connection to /publish speaks, every other one views. Frames of clients are short (under 64 KB) and not fragmented; a
 * viewer whose buffer in the kernel is full loses the frame, or its connection when half a frame went out.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 65536, INPUT_MAX = 16384, EVENTS_MAX = 256 };
enum state { FREE, GREETING, VIEWER, PUBLISHER };

static struct {
	enum state state;
	int place; /* in viewers[] */
	size_t used;
	unsigned char *input; /* only while a handshake or a frame is not complete, and for the publisher */
} connections[CONNECTIONS_MAX];
static int viewers[CONNECTIONS_MAX], viewer_count;

/* ---- SHA-1 (RFC 3174) and base64, for the handshake alone ---- */

static uint32_t rotate(uint32_t word, int by) { return word << by | word >> (32 - by); }

static void sha1(const unsigned char *text, size_t length, unsigned char digest[20]) {
	unsigned char data[192] = {0}; /* a key and the GUID fit into two blocks */
	uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
	size_t size = (length + 9 + 63) / 64 * 64;
	memcpy(data, text, length);
	data[length] = 0x80;
	for (int i = 0; i < 8; i++) data[size - 1 - i] = (uint64_t)length * 8 >> 8 * i;
	for (size_t at = 0; at < size; at += 64) {
		uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
		for (int t = 0; t < 16; t++)
			w[t] = (uint32_t)data[at + 4 * t] << 24 | data[at + 4 * t + 1] << 16 | data[at + 4 * t + 2] << 8 | data[at + 4 * t + 3];
		for (int t = 16; t < 80; t++) w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
		for (int t = 0; t < 80; t++) {
			uint32_t f = t < 20 ? ((b & c) | (~b & d)) + 0x5A827999
			           : t < 40 ? (b ^ c ^ d) + 0x6ED9EBA1
			           : t < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC
			                    : (b ^ c ^ d) + 0xCA62C1D6;
			uint32_t next = rotate(a, 5) + f + e + w[t];
			e = d, d = c, c = rotate(b, 30), b = a, a = next;
		}
		h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
	}
	for (int i = 0; i < 20; i++) digest[i] = h[i / 4] >> (24 - 8 * (i % 4));
}

static void base64(const unsigned char *in, int length, char *out) {
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (int i = 0; i < length; i += 3) {
		uint32_t bits = in[i] << 16 | (i + 1 < length ? in[i + 1] << 8 : 0) | (i + 2 < length ? in[i + 2] : 0);
		for (int k = 0; k < 4; k++) *out++ = i + k > length ? '=' : letters[bits >> (18 - 6 * k) & 63];
	}
	*out = 0;
}

/* ---- connections ---- */

static void drop(int fd) {
	if (connections[fd].state == VIEWER) {
		int last = viewers[--viewer_count];
		viewers[connections[fd].place] = last;
		connections[last].place = connections[fd].place;
	}
	free(connections[fd].input);
	memset(&connections[fd], 0, sizeof connections[fd]);
	close(fd);
}

static int greet(int fd) {
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", name[] = "\r\nSec-WebSocket-Key: ";
	char *text = (char *)connections[fd].input, *end, *key;
	unsigned char digest[20];
	char joined[128], accept[32], answer[256];
	text[connections[fd].used] = 0;
	if (!(end = strstr(text, "\r\n\r\n"))) return 0;
	if (!(key = strcasestr(text, name)) || strcspn(key + sizeof name - 1, "\r") != 24) return -1;
	snprintf(joined, sizeof joined, "%.24s%s", key + sizeof name - 1, guid);
	sha1((unsigned char *)joined, strlen(joined), digest);
	base64(digest, 20, accept);
	int size = snprintf(answer, sizeof answer,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
	if (send(fd, answer, size, MSG_NOSIGNAL) != size) return -1;
	size_t head = end + 4 - text;
	int publishes = !strncmp(text, "GET /publish", 12);
	connections[fd].used -= head;
	memmove(text, text + head, connections[fd].used);
	connections[fd].state = publishes ? PUBLISHER : VIEWER;
	if (!publishes) {
		connections[fd].place = viewer_count;
		viewers[viewer_count++] = fd;
	}
	return 1;
}

static void fan_out(const unsigned char *payload, size_t length) {
	unsigned char frame[INPUT_MAX + 4] = {0x81, length < 126 ? length : 126, length >> 8, length};
	size_t head = length < 126 ? 2 : 4, size = head + length;
	memcpy(frame + head, payload, length);
	for (int i = viewer_count - 1; i >= 0; i--) {
		ssize_t sent = send(viewers[i], frame, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent >= 0 && (size_t)sent < size) drop(viewers[i]);
	}
}

/* Take complete frames; returns -1 when the connection is over. */
static int take(int fd) {
	unsigned char *data = connections[fd].input;
	size_t at = 0;
	while (connections[fd].used - at >= 6) {
		size_t left = connections[fd].used - at, length = data[at + 1] & 127, head = 2;
		if (length == 127) return -1;
		if (length == 126) {
			length = data[at + 2] << 8 | data[at + 3];
			head = 4;
		}
		if (length + head + 4 > INPUT_MAX) return -1;
		if (left < head + 4 + length) break;
		unsigned char *mask = data + at + head, *payload = mask + 4;
		for (size_t i = 0; i < length; i++) payload[i] ^= mask[i & 3];
		if ((data[at] & 15) == 8) return -1;
		if ((data[at] & 15) == 1 && connections[fd].state == PUBLISHER) fan_out(payload, length);
		at += head + 4 + length;
	}
	connections[fd].used -= at;
	memmove(data, data + at, connections[fd].used);
	return 0;
}

static void readable(int fd) {
	if (!connections[fd].input && !(connections[fd].input = malloc(INPUT_MAX + 1))) exit(1);
	ssize_t got = recv(fd, connections[fd].input + connections[fd].used, INPUT_MAX - connections[fd].used, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
	if (got <= 0) {
		drop(fd);
		return;
	}
	connections[fd].used += got;
	int greeted = connections[fd].state == GREETING ? greet(fd) : 1;
	if (greeted < 0 || (greeted && take(fd) < 0) || connections[fd].used == INPUT_MAX) {
		drop(fd);
	} else if (connections[fd].state == VIEWER && !connections[fd].used) {
		free(connections[fd].input);
		connections[fd].input = NULL;
	}
}

int main(int argc, char **argv) {
	int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
		perror("naive");
		return 1;
	}
	struct epoll_event events[EVENTS_MAX], interest = {.events = EPOLLIN, .data.fd = listener};
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &interest);
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS_MAX, -1);
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;
			if (fd != listener) {
				if (connections[fd].state != FREE) readable(fd);
				continue;
			}
			while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
				if (fd >= CONNECTIONS_MAX) {
					close(fd);
					continue;
				}
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
				connections[fd].state = GREETING;
				interest = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
				epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest);
			}
		}
	}
}
