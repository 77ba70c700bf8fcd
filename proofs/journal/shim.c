// LD_PRELOAD: makes the next fdatasync fail, or the next write(2) stop halfway and then fail, when the file FAULT says so.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int due(const char *what) {
  char buffer[16] = {0};
  const char *path = getenv("FAULT");
  if (!path) return 0;
  int fd = open(path, O_RDONLY);
  if (fd < 0) return 0;
  ssize_t got = read(fd, buffer, 15);
  close(fd);
  if (got <= 0 || strncmp(buffer, what, strlen(what))) return 0;
  return 1;
}
int fdatasync(int fd) {
  if (due("sync")) { unlink(getenv("FAULT")); errno = ENOSPC; return -1; }
  return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
static int cut;
ssize_t write(int fd, const void *data, size_t size) {
  ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
  if (cut && size > 40) { cut = 0; unlink(getenv("FAULT")); errno = ENOSPC; return -1; }
  if (size > 200 && due("write")) { cut = 1; return real(fd, data, size / 2); }
  return real(fd, data, size);
}
