/* A disk that is full after so many more writes: the number stands in the file SHIM_FULL, eight
   bytes; below zero there is room. The last write is cut short. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static long *left(void) {
  static long *at;
  if (!at) {
    const char *name = getenv("SHIM_FULL");
    int file = name ? open(name, O_RDWR) : -1;
    if (file < 0) return 0;
    void *map = mmap(0, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (map == MAP_FAILED) abort();
    at = map;
  }
  return at;
}

ssize_t pwrite64(int file, const void *from, size_t size, off_t at) {
  long *room = left(), now = room ? __atomic_load_n(room, __ATOMIC_SEQ_CST) : -1;
  if (now == 0) {
    errno = ENOSPC;
    return -1;
  }
  if (now > 0) __atomic_fetch_sub(room, 1, __ATOMIC_SEQ_CST);
  if (now == 1 && size > 1) size /= 2;
  return syscall(SYS_pwrite64, file, from, size, at);
}

ssize_t pwrite(int file, const void *from, size_t size, off_t at) { return pwrite64(file, from, size, at); }
