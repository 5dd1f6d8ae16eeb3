/* Posts comments over keep-alive connections and measures from when each was due. One thread, epoll.
 *
 *     post_client PORT STREAM_ID TOKENS BODIES CONNECTIONS POSTS RATE FIRST_USER PER_USER
 *
 * TOKENS and BODIES are files with one entry a line. Of every PER_USER posts one is by somebody new, and the others by those
 * who were new 1,000, 2,000, ... posts ago: a user's posts are spread, as in a chat, and nobody is over the limits. Every post has an Idempotency-Key of its own. RATE 0 keeps every connection
 * busy; otherwise posts are due at Poisson times and a post that waits for a free connection waits on the clock.
 *
 * Prints an empty line when every connection has had its first answer, then one JSON object: counts by status, seconds from the first post to the last answer, percentiles of the answers'
 * milliseconds, and the first user the next run may use. Ends with 1 when an answer was none of 200, 201 and 429.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define APART 1000
#define BUF 16384

struct connection {
    int fd, got, busy;
    double due;
    char in[BUF];
};

static char **lines(const char *path, long *count) {
    FILE *file = fopen(path, "r");
    if (!file) { perror(path); exit(2); }
    char **all = NULL, *line = NULL;
    size_t room = 0;
    long n = 0;
    ssize_t length;
    while ((length = getline(&line, &room, file)) > 0) {
        while (length && (line[length - 1] == '\n' || line[length - 1] == '\r')) line[--length] = 0;
        if (n % 4096 == 0) all = realloc(all, (n + 4096) * sizeof *all);
        all[n++] = strdup(line);
    }
    free(line);
    fclose(file);
    *count = n;
    return all;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int dial(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) { perror("connect"); exit(2); }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void warm(int fd) {
    static const char request[] = "GET /api/v1/nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    char in[BUF];
    int got = 0;
    if (write(fd, request, sizeof request - 1) < 0) { perror("write"); exit(2); }
    while (1) {
        ssize_t more = read(fd, in + got, sizeof in - 1 - got);
        if (more <= 0) { perror("read"); exit(2); }
        got += more;
        in[got] = 0;
        char *end = strstr(in, "\r\n\r\n"), *field = strcasestr(in, "content-length: ");
        if (end && field && in + got >= end + 4 + atol(field + 16)) break;
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

int main(int argc, char **argv) {
    if (argc < 10) { fprintf(stderr, "see the head of post_client.c\n"); return 2; }
    int port = atoi(argv[1]), connections = atoi(argv[5]);
    const char *stream = argv[2];
    long users, bodies, posts = atol(argv[6]), first = atol(argv[8]), per_user = atol(argv[9]);
    double rate = atof(argv[7]);
    char **token = lines(argv[3], &users), **body = lines(argv[4], &bodies);
    long step = APART / per_user, last = first + posts / per_user + 1 + (per_user - 1) * step;
    if (last > users) {
        fprintf(stderr, "%ld posts from user %ld on need more tokens than %ld\n", posts, first, users);
        return 2;
    }
    struct connection *all = calloc(connections, sizeof *all);
    int *idle = calloc(connections, sizeof *idle), idles = 0, poll = epoll_create1(0);
    for (int n = 0; n < connections; n++) {
        all[n].fd = dial(port);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = n};
        epoll_ctl(poll, EPOLL_CTL_ADD, all[n].fd, &event);
        idle[idles++] = n;
    }
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    epoll_ctl(poll, EPOLL_CTL_ADD, timer, &event);

    /* What a connection's first request costs is another benchmark's. */
    for (int n = 0; n < connections; n++) warm(all[n].fd);
    puts("");
    fflush(stdout);
    double *took = calloc(posts, sizeof *took), begin = now(), due = begin, ready = 0;
    long sent = 0, done = 0, created = 0, repeated = 0, limited = 0, other = 0;
    unsigned short seed[3] = {7, 8, 9};
    long salt = (long)(begin * 1e6) ^ getpid();
    char out[8192];
    while (done < posts) {
        double t = now();
        while (sent < posts && idles && (rate == 0 || due <= t)) {
            struct connection *c = &all[idle[--idles]];
            long who = first + sent / per_user + (per_user - 1 - sent % per_user) * step;
            const char *said = body[sent % bodies];
            int length = snprintf(out, sizeof out,
                "POST /api/v1/streams/%s/comments HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n"
                "Content-Type: application/json\r\nAccept: */*\r\nUser-Agent: post_client\r\n"
                "Idempotency-Key: %lx-%ld\r\nContent-Length: %d\r\n\r\n%s",
                stream, port, token[who], salt, sent, (int)strlen(said), said);
            c->due = rate == 0 ? t : due;
            c->busy = 1;
            c->got = 0;
            if (write(c->fd, out, length) != length) { perror("write"); return 2; }
            sent++;
            if (rate > 0) due += -log(1 - erand48(seed)) / rate;
        }
        if (rate > 0 && sent < posts && idles && due > t) {
            struct itimerspec at = {.it_value = {.tv_sec = (time_t)(due - t), .tv_nsec = (long)(fmod(due - t, 1) * 1e9) + 1}};
            timerfd_settime(timer, 0, &at, NULL);
        }
        struct epoll_event ready_events[256];
        int n = epoll_wait(poll, ready_events, 256, 20000);
        if (n == 0) { fprintf(stderr, "no answer for 20 s: %ld of %ld\n", done, sent); return 3; }
        t = now();
        for (int i = 0; i < n; i++) {
            if (ready_events[i].data.u32 == UINT32_MAX) { uint64_t x; (void)!read(timer, &x, 8); continue; }
            struct connection *c = &all[ready_events[i].data.u32];
            ssize_t got = read(c->fd, c->in + c->got, BUF - 1 - c->got);
            if (got <= 0) { fprintf(stderr, "closed after %ld answers (%s)\n", done, strerror(errno)); return 3; }
            c->got += got;
            c->in[c->got] = 0;
            char *end = strstr(c->in, "\r\n\r\n");
            if (!end) continue;
            char *field = strcasestr(c->in, "content-length: ");
            if (!field || field > end) { fprintf(stderr, "no content-length: %.300s\n", c->in); return 3; }
            if (c->in + c->got < end + 4 + atol(field + 16)) continue;
            int status = atoi(c->in + 9);
            if (status == 201) created++; else if (status == 200) repeated++; else if (status == 429) limited++;
            else { if (!other++) fprintf(stderr, "%.600s\n", c->in); }
            took[done++] = (t - c->due) * 1000;
            c->busy = 0;
            idle[idles++] = (int)(c - all);
            ready = t;
        }
    }
    qsort(took, done, sizeof *took, ascending);
    printf("{\"posts\":%ld,\"created\":%ld,\"repeated\":%ld,\"limited\":%ld,\"other\":%ld,\"seconds\":%.4f,\"p50_ms\":%.3f,"
           "\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"next_user\":%ld}\n",
           done, created, repeated, limited, other, ready - begin, took[done / 2], took[done * 9 / 10], took[done * 99 / 100],
           took[done - 1], last);
    return other ? 1 : 0;
}
