/* Viewers: connections that watch, the bytes they get, and what those bytes prove. */
#ifndef BENCH_VIEWERS_H
#define BENCH_VIEWERS_H

#include "feed.h"
#include "packed.h"

#ifdef WITH_TLS
#include <openssl/ssl.h>
#else
typedef void SSL;
#endif

#define RECEIVE (512u << 10)

enum viewer_state { VIEWER_CLOSED, VIEWER_CONNECTING, VIEWER_HANDSHAKE, VIEWER_HEAD, VIEWER_BODY };
enum chunk_state { CHUNK_NONE, CHUNK_SIZE, CHUNK_REST, CHUNK_DATA, CHUNK_END };

struct viewer {
	struct source source;
	int fd;
	uint32_t index;
	uint8_t state, chunk;
	bool b, via, gzip, bad, stalled, recovering;
	int64_t to;      /* where its chain is; -1 before the first delivery */
	int64_t resume;  /* the Last-Event-ID to ask with; -1 for none */
	size_t chunk_left;
	struct place place;
	char *head;      /* the beginning of an answer's head that is not all there */
	size_t head_len;
	struct packed *decoder; /* compressed: where its decoder is, shared with others... */
	z_stream *z;            /* ... or its own, while it is in the middle of something */
	SSL *ssl;
};

/* What was counted since the last mark. */
struct counts {
	int64_t since, cpu_since;
	uint64_t windows, items, receives, many, bytes, plain_bytes, frames, sampled_windows;
	struct histogram a, b, read, interval;
};

/* What must not happen; never reset. */
struct violations {
	uint64_t chain, repeated, missing, disorder, mislabelled, gaps, gap_seqs, busy, ended, refused, inflate;
	int first_status;
};

struct recovery {
	int64_t since, target;
	uint32_t wanted, connected, whole, retries;
	double connected_s, whole_s;
};

/* How often, in all, connections of a storm are tried again before they count as refused; times the viewers. */
#define TRIES 8

struct audience {
	int epoll;
	const char *host;
	int port, via_port;
	char **paths;
	unsigned n_paths;
	uint32_t n, in_flight_max, sources, rcvbuf_b;
	bool dense, http10;
	bool stamped; /* latency counts until the kernel has the bytes; `read` until this program has */
	struct viewer *viewers;
	struct frames frames;
	struct feed *feed;
	struct counts now;
	struct violations wrong;
	struct recovery again;
	uint32_t *queue, queue_n, queue_at, in_flight; /* viewers to be opened */
	uint32_t open, listening;
	int64_t opening_since;
	double opened_s;
	bool opening, announce;
	int64_t max_to, witness_at, arrived, read;
	char *work, *plain;
#ifdef WITH_TLS
	SSL_CTX *tls;
#else
	void *tls;
#endif
};

static void viewer_ready(struct source *source, uint32_t events);
static void audience_opened(struct audience *a);

static bool counted(const struct viewer *v)
{
	return v->state == VIEWER_BODY && !v->stalled;
}

static void viewer_forget(struct audience *a, struct viewer *v)
{
	if (v->state == VIEWER_CLOSED)
		return;
	if (v->state == VIEWER_BODY) {
		a->open--;
		if (counted(v))
			a->listening--;
	} else {
		a->in_flight--;
	}
#ifdef WITH_TLS
	if (v->ssl)
		SSL_free(v->ssl);
	v->ssl = NULL;
#endif
	if (v->z) {
		inflateEnd(v->z);
		free(v->z);
		v->z = NULL;
	}
	packed_drop(v->decoder);
	v->decoder = NULL;
	close(v->fd);
	free(v->head);
	v->head = NULL;
	v->head_len = 0;
	place_hold(&v->place, NULL);
	v->place.head_len = 0;
	v->state = VIEWER_CLOSED;
}

static void viewer_open(struct audience *a, struct viewer *v)
{
	int one = 1;
	v->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (v->fd < 0)
		die("socket: %s (raise the limit of open files)", strerror(errno));
	setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (v->b && a->rcvbuf_b)
		setsockopt(v->fd, SOL_SOCKET, SO_RCVBUF, &a->rcvbuf_b, sizeof a->rcvbuf_b);
	if (a->sources > 1) {
		/* One address has 28,000 ports. */
		struct sockaddr_in own = {.sin_family = AF_INET};
		own.sin_addr.s_addr = htonl(0x7f000002u + v->index % a->sources);
		setsockopt(v->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
		if (bind(v->fd, (struct sockaddr *)&own, sizeof own))
			die("bind: %s", strerror(errno));
	}
	struct sockaddr_in to = address_of(a->host, v->via ? a->via_port : a->port);
	v->state = VIEWER_CONNECTING;
	v->chunk = CHUNK_NONE;
	v->stalled = false;
	a->in_flight++;
	v->to = v->resume;
	if (connect(v->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
		a->wrong.refused++;
		viewer_forget(a, v);
		return;
	}
	if (a->stamped)
		setsockopt(v->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
	watch(a->epoll, v->fd, &v->source, EPOLLOUT);
}

/* Open the next ones of the queue, as many as may be on their way at once. */
static void audience_fill(struct audience *a)
{
	while (a->in_flight < a->in_flight_max && a->queue_at < a->queue_n)
		viewer_open(a, &a->viewers[a->queue[a->queue_at++]]);
	if (a->opening && !a->in_flight && a->queue_at == a->queue_n) {
		a->opening = false;
		a->opened_s = (double)(now_us() - a->opening_since) / 1e6;
		audience_opened(a);
	}
}

static void viewer_lost(struct audience *a, struct viewer *v)
{
	if (v->state == VIEWER_BODY)
		a->wrong.ended++;
	else if (v->recovering && a->queue_n < TRIES * a->n) {
		/* An EventSource tries again too. */
		a->again.retries++;
		viewer_forget(a, v);
		a->queue[a->queue_n++] = v->index;
		audience_fill(a);
		return;
	} else
		a->wrong.refused++;
	v->bad = true;
	viewer_forget(a, v);
	audience_fill(a);
}

static void viewer_request(struct audience *a, struct viewer *v)
{
	char text[1024], last[64] = "";
	if (v->resume >= 0)
		snprintf(last, sizeof last, "Last-Event-ID: %lld\r\n", (long long)v->resume);
	int n = snprintf(text, sizeof text, "GET %s HTTP/1.%c\r\nHost: bench\r\nAccept: text/event-stream\r\n%s%s\r\n",
			 a->paths[v->index % a->n_paths], a->http10 ? '0' : '1', v->gzip ? "Accept-Encoding: gzip\r\n" : "", last);
	ssize_t sent;
#ifdef WITH_TLS
	if (v->ssl)
		sent = SSL_write(v->ssl, text, n);
	else
#endif
		sent = send(v->fd, text, (size_t)n, MSG_NOSIGNAL);
	if (sent != n) {
		viewer_lost(a, v);
		return;
	}
	v->state = VIEWER_HEAD;
	watch(a->epoll, v->fd, &v->source, EPOLLIN);
}

static void viewer_handshake(struct audience *a, struct viewer *v)
{
#ifdef WITH_TLS
	int done = SSL_connect(v->ssl);
	if (done == 1) {
		viewer_request(a, v);
		return;
	}
	int why = SSL_get_error(v->ssl, done);
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		watch(a->epoll, v->fd, &v->source, why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
	else
		viewer_lost(a, v);
#else
	(void)a, (void)v;
#endif
}

static void viewer_connected(struct audience *a, struct viewer *v)
{
	int error = 0;
	socklen_t len = sizeof error;
	getsockopt(v->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		viewer_lost(a, v);
		return;
	}
#ifdef WITH_TLS
	if (a->tls) {
		v->ssl = SSL_new(a->tls);
		SSL_set_fd(v->ssl, v->fd);
		v->state = VIEWER_HANDSHAKE;
		viewer_handshake(a, v);
		return;
	}
#endif
	viewer_request(a, v);
}

/* Take the head off *bytes*; how many it takes, 0 while it is not all there, -1 for a refusal. */
static ssize_t viewer_head(struct audience *a, struct viewer *v, const char *bytes, size_t len)
{
	const char *end = memmem(bytes, len, "\r\n\r\n", 4);
	if (!end)
		return 0;
	int status = len > 12 ? (int)number_at(bytes + 9, bytes + 12) : 0;
	if (status != 200) {
		a->wrong.first_status = a->wrong.first_status ? a->wrong.first_status : status;
		return -1;
	}
	char head[2048];
	size_t n = (size_t)(end - bytes) + 4;
	snprintf(head, sizeof head, "%.*s", (int)(n < sizeof head ? n : sizeof head - 1), bytes);
	if (strcasestr(head, "transfer-encoding: chunked"))
		v->chunk = CHUNK_SIZE;
	v->gzip = strcasestr(head, "content-encoding: gzip") != NULL;
	if (v->gzip) {
		v->z = calloc(1, sizeof *v->z);
		inflateInit2(v->z, 15 + 16);
	}
	v->state = VIEWER_BODY;
	a->in_flight--;
	a->open++;
	if (counted(v))
		a->listening++;
	if (v->recovering) {
		a->again.connected++;
		a->again.connected_s = (double)(now_us() - a->again.since) / 1e6;
	}
	return (ssize_t)n;
}

/* Take the chunk framing out of *bytes*, in place; the bytes that are left. */
static size_t dechunk(struct viewer *v, char *bytes, size_t len)
{
	size_t in = 0, out = 0;
	while (in < len) {
		if (v->chunk == CHUNK_DATA) {
			size_t n = len - in < v->chunk_left ? len - in : v->chunk_left;
			memmove(bytes + out, bytes + in, n);
			in += n;
			out += n;
			v->chunk_left -= n;
			if (!v->chunk_left)
				v->chunk = CHUNK_END;
			continue;
		}
		char c = bytes[in++];
		if (v->chunk == CHUNK_END) {
			if (c == '\n') {
				v->chunk = CHUNK_SIZE;
				v->chunk_left = 0;
			}
		} else if (c == '\n') {
			v->chunk = v->chunk_left ? CHUNK_DATA : CHUNK_END;
		} else if (v->chunk == CHUNK_SIZE) {
			unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
					 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10) : 16u;
			if (digit < 16)
				v->chunk_left = v->chunk_left * 16 + digit;
			else
				v->chunk = CHUNK_REST;
		}
	}
	return out;
}

static void viewer_recovered(struct audience *a, struct viewer *v)
{
	if (!v->recovering || v->to < a->again.target)
		return;
	v->recovering = false;
	a->again.whole++;
	a->again.whole_s = (double)(now_us() - a->again.since) / 1e6;
}

/* One delivery on one connection. */
static void viewer_items(struct audience *a, struct viewer *v, const struct frame *f, int64_t now)
{
	struct violations *wrong = &a->wrong;
	if (v->to >= 0 && f->prev != v->to) {
		v->bad = true;
		wrong->chain++;
		if (f->prev > v->to)
			wrong->missing += a->dense ? (uint64_t)(f->prev - v->to) : 0;
		else if (f->items && f->first_seq <= v->to)
			wrong->repeated += (uint64_t)((f->last_seq < v->to ? f->last_seq : v->to) - f->first_seq + 1);
	}
	if (f->disorder || f->mislabelled) {
		v->bad = true;
		wrong->disorder += f->disorder;
		wrong->mislabelled += f->mislabelled;
	}
	if (f->sampled)
		a->now.sampled_windows++;
	else if (a->dense && f->prev > 0 && f->to - f->prev > f->items) {
		/* A stream's first range begins at 0 and its log does not. */
		v->bad = true;
		wrong->missing += (uint64_t)(f->to - f->prev) - f->items;
	}
	v->to = f->to > v->to ? f->to : v->to;
	a->max_to = v->to > a->max_to ? v->to : a->max_to;
	a->now.windows++;
	a->now.items += f->items;
	struct histogram *h = v->b ? &a->now.b : &a->now.a;
	for (uint32_t i = 0; i < f->items; i++)
		if (f->stamps[i] >= a->now.since) {
			hist_add(h, now - f->stamps[i]);
			if (a->stamped)
				hist_add(&a->now.read, a->read - f->stamps[i]);
		}
	if (v->index == 0) {
		if (a->witness_at)
			hist_add(&a->now.interval, now - a->witness_at);
		a->witness_at = now;
	}
	viewer_recovered(a, v);
	if (a->feed->outstanding)
		for (uint32_t i = 0; i < f->items; i++)
			if (f->numbers[i] >= 0)
				feed_delivered(a->feed, f->numbers[i], a->listening);
}

static void viewer_frame(struct audience *a, struct viewer *v, const struct frame *f, int64_t now)
{
	a->now.frames++;
	switch (f->kind) {
	case FRAME_ITEMS:
		viewer_items(a, v, f, now);
		break;
	case FRAME_GAP:
		a->wrong.gaps++;
		a->wrong.gap_seqs += (uint64_t)(f->to - f->prev);
		v->bad = true;
		v->to = f->to;
		break;
	case FRAME_BUSY:
		a->wrong.busy++;
		break;
	default:
		break;
	}
}

static void viewer_frames(struct audience *a, struct viewer *v, const char *p, size_t len, int64_t now)
{
	const char *end = p + len;
	while (p < end) {
		size_t used;
		if (*p == '\n' && !v->place.frame && !v->place.head_len) { /* nchan puts one between messages */
			p++;
			continue;
		}
		struct frame *f = frames_take(&a->frames, &v->place, p, (size_t)(end - p), &used);
		p += used;
		if (f)
			viewer_frame(a, v, f, now);
	}
}

/* Compressed bytes of somebody whose decoder is at a block's edge, as others' were; false when they end in the middle. */
static bool viewer_shares(struct audience *a, struct viewer *v, const char *at, size_t len, int64_t now)
{
	struct packed *p = packed_take(v->decoder, &a->frames, at, len, a->plain, RECEIVE);
	if (!p) {
		v->z = calloc(1, sizeof *v->z);
		inflateCopy(v->z, v->decoder->z);
	} else {
		p->holders++;
		a->now.plain_bytes += p->plain_len;
	}
	packed_drop(v->decoder);
	v->decoder = p;
	for (unsigned i = 0; p && i < p->n_frames; i++)
		viewer_frame(a, v, p->frames[i], now);
	return p != NULL;
}

/* Compressed bytes of one connection alone. */
static bool viewer_inflates(struct audience *a, struct viewer *v, char *at, size_t len, int64_t now)
{
	v->z->next_in = (Bytef *)at;
	v->z->avail_in = (uInt)len;
	do {
		v->z->next_out = (Bytef *)a->plain;
		v->z->avail_out = RECEIVE;
		int rc = inflate(v->z, Z_SYNC_FLUSH);
		if (rc != Z_OK && rc != Z_BUF_ERROR) {
			a->wrong.inflate++;
			return false;
		}
		a->now.plain_bytes += RECEIVE - v->z->avail_out;
		viewer_frames(a, v, a->plain, RECEIVE - v->z->avail_out, now);
	} while (!v->z->avail_out);
	if (packed_boundary(v->z) && !v->place.frame && !v->place.head_len) {
		v->decoder = calloc(1, sizeof *v->decoder);
		*v->decoder = (struct packed){.z = v->z, .holders = 1};
		v->z = NULL;
	}
	return true;
}

/* *len* bytes of the body. */
static bool viewer_body(struct audience *a, struct viewer *v, char *at, size_t len, int64_t now)
{
	uint64_t before = a->now.windows;
	if (v->chunk)
		len = dechunk(v, at, len);
	if (!len)
		return true;
	if (!v->gzip) {
		a->now.plain_bytes += len;
		viewer_frames(a, v, at, len, now);
	} else if (!v->decoder || !viewer_shares(a, v, at, len, now)) {
		if (!viewer_inflates(a, v, at, len, now))
			return false;
	}
	if (a->now.windows - before > 1)
		a->now.many++;
	return true;
}

/* Receive, and see when the kernel had the last of it from the wire. */
static ssize_t viewer_stamped(struct audience *a, struct viewer *v, char *at)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct iovec body = {at, RECEIVE};
	struct msghdr message = {.msg_iov = &body, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	ssize_t n = recvmsg(v->fd, &message, 0);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	a->arrived = 0;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
		struct timespec t;
		memcpy(&t, CMSG_DATA(c), sizeof t);
		a->arrived = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
	}
	return n;
}

/* Receive once; the bytes, 0 for nothing now, -1 for the end. */
static ssize_t viewer_receive(struct audience *a, struct viewer *v, char *at)
{
#ifdef WITH_TLS
	if (v->ssl) {
		int n = SSL_read(v->ssl, at, RECEIVE);
		if (n > 0)
			return n;
		int why = SSL_get_error(v->ssl, n);
		return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
	}
#endif
	ssize_t n = a->stamped ? viewer_stamped(a, v, at) : recv(v->fd, at, RECEIVE, 0);
	return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
}

/* *n* bytes of an answer whose head is not all there; those of its body are moved to the front. -1 when it is refused. */
static ssize_t viewer_begin(struct audience *a, struct viewer *v, size_t n)
{
	v->head = realloc(v->head, v->head_len + n);
	memcpy(v->head + v->head_len, a->work, n);
	v->head_len += n;
	ssize_t head = viewer_head(a, v, v->head, v->head_len);
	if (head <= 0)
		return head;
	size_t rest = v->head_len - (size_t)head;
	memcpy(a->work, v->head + head, rest);
	free(v->head);
	v->head = NULL;
	v->head_len = 0;
	audience_fill(a);
	return (ssize_t)rest;
}

static void viewer_read(struct audience *a, struct viewer *v)
{
	ssize_t n;
	do {
		n = viewer_receive(a, v, a->work);
		if (n <= 0)
			break;
		int64_t now = a->read = now_us();
		if (a->stamped && a->arrived)
			now = a->arrived;
		a->now.receives++;
		a->now.bytes += (uint64_t)n;
		if (v->state == VIEWER_HEAD)
			n = viewer_begin(a, v, (size_t)n);
		if (n > 0 && !viewer_body(a, v, a->work, (size_t)n, now))
			n = -1;
	} while (v->ssl && n >= 0);
	if (n < 0)
		viewer_lost(a, v);
}

static void viewer_ready(struct source *source, uint32_t events)
{
	struct viewer *v = (struct viewer *)source;
	struct audience *a = source->owner;
	if (v->state == VIEWER_CLOSED)
		return;
	if (v->state == VIEWER_CONNECTING) {
		/* An event of the connection before this one may still be in the batch. */
		if (events & (EPOLLOUT | EPOLLERR))
			viewer_connected(a, v);
	} else if (v->state == VIEWER_HANDSHAKE)
		viewer_handshake(a, v);
	else if (v->stalled && (events & (EPOLLHUP | EPOLLERR)))
		viewer_lost(a, v);
	else if (!v->stalled)
		viewer_read(a, v);
}

/* Group B stops reading, or begins again. */
static void viewer_stall(struct audience *a, struct viewer *v, bool stalled)
{
	if (v->state != VIEWER_BODY || v->stalled == stalled)
		return;
	if (counted(v))
		a->listening--;
	v->stalled = stalled;
	if (counted(v))
		a->listening++;
	watch(a->epoll, v->fd, &v->source, stalled ? 0 : EPOLLIN);
}

#endif
