/* The loop of writing.py's write_each in C: the same answers, about an eighth less of the CPU (docs/adr/0007). */
#include <errno.h>
#include <sys/socket.h>

/* Send data to n sockets without waiting. Those that did not take all of it are put into out as pairs: the index, and
 * the bytes taken (-1: the connection is broken). Returns how many there are; out has room for n pairs. */
int ovation_write_each(const int *fds, int n, const char *data, long size, int *out) {
  int count = 0;
  for (int i = 0; i < n; i++) {
    long took = send(fds[i], data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (took == size) continue;
    out[2 * count] = i;
    out[2 * count + 1] = took >= 0 ? (int)took : (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    count++;
  }
  return count;
}
