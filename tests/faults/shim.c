/* Counts what a process writes, syncs, renames, links, deletes and cuts below one folder, and lets one of these fail.

   Loaded by LD_PRELOAD; does nothing until shim_arm() is called. Modes: 0 count; 1 the disk is full from operation n
   on; 2 operation n fails with EIO; 3 operation n writes half and the process dies (others die before they happen);
   4 the process dies before operation n. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static size_t folder_length;
static int mode;
static long target;
static atomic_long counted;
static atomic_int armed;
static char spaces[1 << 20];

void shim_arm(const char *below, int how, long number) {
    strncpy(folder, below, sizeof folder - 1);
    folder_length = strlen(folder);
    mode = how;
    target = number;
    atomic_store(&counted, 0);
    atomic_store(&armed, 1);
}

long shim_count(void) { return atomic_load(&counted); }

/* Whether operation n (from 1) took space: wrote bytes, or made a name. */
int shim_takes_space(long number) { return spaces[number % sizeof spaces]; }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static int below_path(const char *path) {
    char full[PATH_MAX];
    if (!atomic_load(&armed) || path == NULL) return 0;
    if (path[0] == '/') return strncmp(path, folder, folder_length) == 0;
    if (getcwd(full, sizeof full) == NULL) return 0;
    return strncmp(full, folder, folder_length) == 0;
}

static int below_fd(int fd) {
    char link[64], path[PATH_MAX];
    if (!atomic_load(&armed)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return strncmp(path, folder, folder_length) == 0;
}

/* 0: go on; 1: fail, errno is set; 2: write half, then die. */
static int verdict(int takes_space) {
    long number = atomic_fetch_add(&counted, 1) + 1;
    spaces[number % sizeof spaces] = (char)takes_space;
    if (mode == 1 && number >= target && takes_space) { errno = ENOSPC; return 1; }
    if (number != target) return 0;
    if (mode == 2) { errno = EIO; return 1; }
    if (mode == 3 && takes_space) return 2;
    if (mode == 3 || mode == 4) die();
    return 0;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)

#define WRITES(name, declaration, whole, half)            \
    ssize_t name declaration {                            \
        REAL(name);                                       \
        if (below_fd(fd)) {                               \
            int v = verdict(1);                           \
            if (v == 1) return -1;                        \
            if (v == 2) { half; die(); }                  \
        }                                                 \
        return whole;                                     \
    }

WRITES(write, (int fd, const void *data, size_t size), real(fd, data, size), (void)!real(fd, data, size / 2))
WRITES(pwrite, (int fd, const void *data, size_t size, off_t at), real(fd, data, size, at),
       (void)!real(fd, data, size / 2, at))
WRITES(pwrite64, (int fd, const void *data, size_t size, off64_t at), real(fd, data, size, at),
       (void)!real(fd, data, size / 2, at))
WRITES(writev, (int fd, const struct iovec *parts, int count), real(fd, parts, count),
       (void)!real(fd, parts, count / 2))

#define FAILS(name, declaration, concerns, whole)         \
    int name declaration {                                \
        REAL(name);                                       \
        if ((concerns) && verdict(0) == 1) return -1;     \
        return whole;                                     \
    }

FAILS(fsync, (int fd), below_fd(fd), real(fd))
FAILS(fdatasync, (int fd), below_fd(fd), real(fd))
FAILS(ftruncate, (int fd, off_t size), below_fd(fd), real(fd, size))
FAILS(ftruncate64, (int fd, off64_t size), below_fd(fd), real(fd, size))
FAILS(rename, (const char *from, const char *to), below_path(to), real(from, to))
FAILS(link, (const char *from, const char *to), below_path(to), real(from, to))
FAILS(linkat, (int a, const char *from, int b, const char *to, int flags), below_path(to), real(a, from, b, to, flags))
FAILS(unlink, (const char *path), below_path(path), real(path))
FAILS(unlinkat, (int at, const char *path, int flags), below_path(path), real(at, path, flags))
FAILS(mkdir, (const char *path, mode_t rights), below_path(path), real(path, rights))
