/* The loop of accepting.py's take_each in C: the same answers, two system calls a connection where Python makes four. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static int broken(int error) {
  switch (error) {
    case ECONNABORTED: case EPERM: case EPROTO: case ENETDOWN: case ENOPROTOOPT: case EHOSTDOWN: case ENONET:
    case EHOSTUNREACH: case EOPNOTSUPP: case ENETUNREACH:
      return 1;
    default:
      return 0;
  }
}

/* Take at most n connections: their descriptors into fds, their first bytes (each at most first) one after the other into
 * data, how many these are into sizes. data has room for n times first. Returns how many there are; failure is set to what kept
 * the next one from being taken, or to 0. That n broke is such a failure. */
int ovation_take_each(int listening, int n, int first, int *fds, int *sizes, char *data, int *failure) {
  int count = 0, broke = 0;
  *failure = 0;
  for (int i = 0; i < n; i++) {
    int fd = accept4(listening, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN || errno == EINTR) break;
      int error = errno;
      if (broken(error) && ++broke < n) continue;
      *failure = error;
      break;
    }
    long size = recv(fd, data, first, 0);
    if (size < 0) {
      if (errno != EAGAIN && errno != EINTR) {
        close(fd);
        continue;
      }
      size = 0;
    }
    fds[count] = fd;
    sizes[count++] = (int)size;
    data += size;
  }
  return count;
}
