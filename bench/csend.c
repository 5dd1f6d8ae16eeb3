/*
 * The limit: a C server that send()s one shared buffer to every viewer, with the wire bytes of a gateway.
 *
 * Comments come in as lines on one port, viewers are served on another. Windows leave by the gateway's rhythm: *interval* ms apart,
 * at once after a quiet moment, which saves up two. It checks no credential and has no catch-up, compression or policy for
 * slow viewers: one that cannot take a whole window is dropped.
 *
 *     csend INTERVAL_MS      prints {"port":..,"feed_port":..}
 */
#include "sockets.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

/* The gateway's (gateway/fanout/rhythm.py). */
#define SAVED 2

struct listener {
	struct source source;
	int fd;
};

struct client {
	struct source source;
	int fd;
	uint32_t at; /* index in `viewers`; UINT32_MAX before its request is read */
	size_t len;
	char in[512];
};

static int epoll;
static struct client **viewers;
static uint32_t n_viewers, room_viewers;
static char *pending, *frame;
static size_t pending_len, pending_room, frame_room;
static int64_t seq, flushed_to;
static double interval_ms, due;
static struct listener public, feed_listener;
static struct stream_socket feed_wire;

static const char HEAD[] =
	"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache, no-transform\r\n"
	"x-accel-buffering: no\r\nvary: Accept-Encoding\r\naccess-control-allow-origin: *\r\nconnection: close\r\n\r\nretry: 1500\n\n";

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void drop(struct client *c)
{
	if (c->at != UINT32_MAX) {
		viewers[c->at] = viewers[--n_viewers];
		viewers[c->at]->at = c->at;
	}
	close(c->fd);
	free(c);
}

static void take(const char *payload, size_t len)
{
	struct timespec t;
	char at[64], when[48];
	clock_gettime(CLOCK_REALTIME, &t);
	struct tm tm;
	gmtime_r(&t.tv_sec, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	int n = snprintf(at, sizeof at, "%s{\"seq\":%lld,\"at\":\"", pending_len ? "," : "", (long long)++seq);
	size_t want = pending_len + (size_t)n + len + 64;
	if (want > pending_room)
		pending = realloc(pending, pending_room = 2 * want);
	pending_len += (size_t)sprintf(pending + pending_len, "%s%s.%03ldZ\",", at, when, t.tv_nsec / 1000000);
	memcpy(pending + pending_len, payload + 1, len - 1);
	pending_len += len - 1;
}

static void flush(void)
{
	if (frame_room < pending_len + 256)
		frame = realloc(frame, frame_room = 2 * pending_len + 256);
	int n = sprintf(frame, "id: %lld\nevent: comments\ndata: {\"prev\":%lld,\"from\":%lld,\"to\":%lld,\"backfill\":false,\"items\":[",
			(long long)seq, (long long)flushed_to, (long long)flushed_to + 1, (long long)seq);
	memcpy(frame + n, pending, pending_len);
	size_t len = (size_t)n + pending_len;
	memcpy(frame + len, "]}\n\n", 4);
	len += 4;
	flushed_to = seq;
	pending_len = 0;
	double began = now_ms();
	due = (due > began ? due : began) + interval_ms;
	for (uint32_t i = 0; i < n_viewers;) {
		ssize_t sent = send(viewers[i]->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent == (ssize_t)len)
			i++;
		else
			drop(viewers[i]);
	}
}

static void client_ready(struct source *source, uint32_t events)
{
	struct client *c = (struct client *)source;
	(void)events;
	ssize_t n = recv(c->fd, c->in + c->len, sizeof c->in - c->len - 1, MSG_DONTWAIT);
	if (n <= 0) {
		drop(c);
		return;
	}
	if (c->at != UINT32_MAX)
		return;
	c->len += (size_t)n;
	c->in[c->len] = 0;
	if (!strstr(c->in, "\r\n\r\n"))
		return;
	if (n_viewers == room_viewers)
		viewers = realloc(viewers, (room_viewers = 2 * room_viewers + 1024) * sizeof *viewers);
	c->at = n_viewers;
	viewers[n_viewers++] = c;
	c->len = 0;
	send(c->fd, HEAD, sizeof HEAD - 1, MSG_NOSIGNAL);
}

static void public_ready(struct source *source, uint32_t events)
{
	int one = 1, fd;
	(void)source, (void)events;
	for (int i = 0; i < 64 && (fd = accept4(public.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0; i++) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		struct client *c = calloc(1, sizeof *c);
		c->source.ready = client_ready;
		c->fd = fd;
		c->at = UINT32_MAX;
		watch(epoll, fd, &c->source, EPOLLIN);
	}
}

static void feed_wire_ready(struct source *source, uint32_t events)
{
	struct stream_socket *s = (struct stream_socket *)source;
	if (!wire_read(s, events))
		exit(0);
	size_t used = 0;
	for (char *eol; (eol = memchr(s->in + used, '\n', s->in_len - used)); used = (size_t)(eol - s->in) + 1)
		take(s->in + used, (size_t)(eol - s->in) - used);
	wire_used(s, used);
}

static void feed_ready(struct source *source, uint32_t events)
{
	(void)source, (void)events;
	feed_wire.fd = accept4(feed_listener.fd, NULL, NULL, SOCK_CLOEXEC);
	feed_wire.epoll = epoll;
	feed_wire.source.ready = feed_wire_ready;
	watch(epoll, feed_wire.fd, &feed_wire.source, EPOLLIN);
}

static int listening(struct listener *l, void (*ready)(struct source *, uint32_t))
{
	struct sockaddr_in a = address_of("127.0.0.1", 0);
	socklen_t len = sizeof a;
	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(l->fd, (struct sockaddr *)&a, len) || listen(l->fd, 4096) || getsockname(l->fd, (struct sockaddr *)&a, &len))
		die("cannot listen: %s", strerror(errno));
	l->source.ready = ready;
	watch(epoll, l->fd, &l->source, EPOLLIN);
	return ntohs(a.sin_port);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	if (argc != 2)
		die("csend INTERVAL_MS");
	interval_ms = atof(argv[1]);
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	int port = listening(&public, public_ready), feed_port = listening(&feed_listener, feed_ready);
	printf("{\"port\":%d,\"feed_port\":%d}\n", port, feed_port);
	fflush(stdout);
	for (;;) {
		double left = pending_len ? due - SAVED * interval_ms - now_ms() : -1;
		if (pending_len && left <= 0) {
			flush();
			continue;
		}
		struct timespec wait = {(time_t)(left / 1e3), (long)(left * 1e6) % 1000000000L};
		struct epoll_event events[256];
		int n = epoll_pwait2(epoll, events, 256, pending_len ? &wait : NULL, NULL);
		for (int i = 0; i < n; i++) {
			struct source *source = events[i].data.ptr;
			source->ready(source, events[i].events);
		}
	}
}
