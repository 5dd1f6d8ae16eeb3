/* Non-blocking sockets under epoll: the feed's one connection, and a pool of keep-alive ones that post. */
#ifndef BENCH_SOCKETS_H
#define BENCH_SOCKETS_H

#include "frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* What epoll hands back. First member of everything that waits. */
struct source {
	void (*ready)(struct source *, uint32_t events);
	void *owner;
};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static struct sockaddr_in address_of(const char *host, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		die("%s is no IPv4 address", host);
	return a;
}

static void watch(int epoll, int fd, struct source *source, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = source};
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &e) && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
		die("epoll_ctl: %s", strerror(errno));
}

static int connected_socket(const char *host, int port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_in a = address_of(host, port);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a))
		die("cannot connect to %s:%d: %s", host, port, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

/* A connection with an output buffer and an input buffer. */
struct stream_socket {
	struct source source;
	int fd, epoll;
	char *out, *in;
	size_t out_len, out_room, in_len, in_room;
	bool blocked;
};

static void wire_open(struct stream_socket *s, int epoll, const char *host, int port)
{
	s->fd = connected_socket(host, port);
	s->epoll = epoll;
	watch(epoll, s->fd, &s->source, EPOLLIN);
}

static void wire_put(struct stream_socket *s, const char *bytes, size_t len)
{
	if (s->out_len + len > s->out_room) {
		s->out_room = 2 * (s->out_len + len);
		s->out = realloc(s->out, s->out_room);
	}
	memcpy(s->out + s->out_len, bytes, len);
	s->out_len += len;
}

__attribute__((format(printf, 2, 3))) static void wire_printf(struct stream_socket *s, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	wire_put(s, text, (size_t)n);
}

static void wire_flush(struct stream_socket *s)
{
	if (!s->out_len)
		return;
	ssize_t n = send(s->fd, s->out, s->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		die("the feed's connection: %s", strerror(errno));
	if (n > 0) {
		memmove(s->out, s->out + n, s->out_len - (size_t)n);
		s->out_len -= (size_t)n;
	}
	bool blocked = s->out_len > 0;
	if (blocked != s->blocked)
		watch(s->epoll, s->fd, &s->source, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
	s->blocked = blocked;
}

/* Read what is there; false when the connection has ended. */
static bool wire_read(struct stream_socket *s, uint32_t events)
{
	if (events & EPOLLOUT)
		wire_flush(s);
	if (s->in_room - s->in_len < 65536) {
		s->in_room = s->in_len + 131072;
		s->in = realloc(s->in, s->in_room);
	}
	ssize_t n = recv(s->fd, s->in + s->in_len, s->in_room - s->in_len - 1, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		return false;
	if (n > 0)
		s->in_len += (size_t)n;
	return true;
}

static void wire_used(struct stream_socket *s, size_t n)
{
	memmove(s->in, s->in + n, s->in_len - n);
	s->in_len -= n;
}

/* One keep-alive connection with at most one request under way. */
struct post_socket {
	struct source source;
	int fd;
	bool busy, open;
	int64_t due;
	char in[8192];
	size_t in_len;
};

static void post_open(struct post_socket *s, int epoll, const char *host, int port)
{
	if (s->open)
		close(s->fd);
	s->fd = connected_socket(host, port);
	s->open = true;
	s->busy = false;
	s->in_len = 0;
	watch(epoll, s->fd, &s->source, EPOLLIN);
}

__attribute__((format(printf, 2, 3))) static void post_printf(struct post_socket *s, const char *format, ...)
{
	char text[8192];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	/* A request fits an empty socket's buffer. */
	if (n >= (int)sizeof text || (send(s->fd, text, (size_t)n, MSG_NOSIGNAL) != n && errno != EPIPE && errno != ECONNRESET))
		die("a post was not written: %s", strerror(errno));
}

/* The status of an answer that is all there, 0 while it is not, -1 when the connection has ended. */
static int post_read(struct post_socket *s, uint32_t events)
{
	(void)events;
	ssize_t n = recv(s->fd, s->in + s->in_len, sizeof s->in - s->in_len - 1, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		return -1;
	if (n > 0)
		s->in_len += (size_t)n;
	s->in[s->in_len] = 0;
	char *body = strstr(s->in, "\r\n\r\n");
	if (!body)
		return 0;
	char *length = strcasestr(s->in, "content-length:");
	if (!length || length > body)
		die("an answer without Content-Length: %.80s", s->in);
	if ((size_t)(body + 4 - s->in) + (size_t)atol(length + 15) > s->in_len)
		return 0;
	s->in_len = 0;
	return atoi(s->in + 9);
}

#endif
