/* Remembers what of a file has reached the disk: at each completed fsync or fdatasync, what
   the file held when it was called, by its inode, in the directory SHIM_POWER: its size
   (enough for what is only appended to), and with SHIM_COPY all of it. A power loss is
   kill -9, and the files put back to that. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void copy(int from, const char *name) {
  static char block[1 << 16];
  int to = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0600);
  off_t at = 0;
  for (ssize_t n; (n = pread(from, block, sizeof block, at)) > 0; at += n)
    if (write(to, block, n) != n) abort();
  close(to);
}

static int synced(long call, int file) {
  const char *dir = getenv("SHIM_POWER");
  char name[512], half[520], reading[64];
  struct stat held;
  if (!dir || fstat(file, &held) || !S_ISREG(held.st_mode)) return syscall(call, file);
  snprintf(name, sizeof name, "%s/lock", dir);
  int lock = open(name, O_CREAT | O_RDWR, 0600); /* one at a time, so that the newest stays */
  flock(lock, LOCK_EX);
  fstat(file, &held);
  snprintf(name, sizeof name, "%s/%lu", dir, (unsigned long)held.st_ino);
  snprintf(half, sizeof half, "%s.half", name);
  if (getenv("SHIM_COPY")) {
    snprintf(reading, sizeof reading, "/proc/self/fd/%d", file);
    int from = open(reading, O_RDONLY);
    copy(from, half);
    close(from);
  } else {
    FILE *to = fopen(half, "w");
    fprintf(to, "%ld", (long)held.st_size);
    fclose(to);
  }
  int code = syscall(call, file);
  if (!code) rename(half, name);
  close(lock);
  return code;
}

int fsync(int file) { return synced(SYS_fsync, file); }
int fdatasync(int file) { return synced(SYS_fdatasync, file); }
