/* A layer over the C library, preloaded: calls on chosen paths fail with EIO, by chance or once each.
 *
 * eio_set()   what happens from now on: parts of paths, separated by ':', of which a path must contain one to be
 *             touched, or end in it where a '$' follows; calls per thousand that fail; a seed; and whether every
 *             (call, path) instead fails exactly once. No rate and not once: the layer is off.
 * eio_count() how many calls failed since eio_set(); eio_seen() how many could have; eio_of() those of one kind
 *
 * A write that fails has written half of its bytes half of the time.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 4096
#define ONCE (1 << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char paths[65536], *name_of[FILES];
static unsigned char done[ONCE];
static unsigned rate, once;
static uint64_t state;
static long failed, seen, by_call[32];
static const char *calls[] = {"open", "stat", "read", "write", "rename", "unlink", "mkdir", "rmdir", "list", "fsync",
                              "truncate", "link"};

void eio_set(const char *parts, unsigned per_thousand, unsigned seed, unsigned each_once) {
    pthread_mutex_lock(&lock);
    strncpy(paths, parts, sizeof paths - 1);
    rate = per_thousand, once = each_once, state = 88172645463325252ull + seed * 7919ull;
    failed = seen = 0;
    memset(by_call, 0, sizeof by_call);
    memset(done, 0, sizeof done);
    pthread_mutex_unlock(&lock);
}
long eio_count(void) { return failed; }
long eio_seen(void) { return seen; }
long eio_of(const char *call) {
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
        if (!strcmp(call, calls[i])) return by_call[i];
    return -1;
}

static uint64_t drawn(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
}

static int chosen(const char *path) {
    const char *at = paths;
    while (path && *at) {
        size_t n = strcspn(at, ":"), end = n && at[n - 1] == '$', m = n - end, length = strlen(path);
        if (m && m <= length && (end ? !memcmp(path + length - m, at, m) : memmem(path, length, at, m) != NULL)) return 1;
        at += n + (at[n] == ':');
    }
    return 0;
}

static int fails(unsigned call, const char *path) {
    if ((!rate && !once) || !chosen(path)) return 0;
    pthread_mutex_lock(&lock);
    int yes;
    seen++;
    if (once) {
        uint64_t hash = 1469598103934665603ull + call;
        for (const char *c = path; *c; c++) hash = (hash ^ (unsigned char)*c) * 1099511628211ull;
        unsigned char *mark = &done[hash % ONCE];
        yes = !*mark, *mark = 1;
    } else
        yes = drawn() / 2048 % 1000 < rate;
    failed += yes, by_call[call] += yes;
    pthread_mutex_unlock(&lock);
    if (yes) errno = EIO;
    return yes;
}
static int torn(void) {
    pthread_mutex_lock(&lock);
    int yes = drawn() / 2048 % 2;
    pthread_mutex_unlock(&lock);
    return yes;
}

#define REAL(n) static __typeof__(n) *real; if (!real) real = (__typeof__(n) *)dlsym(RTLD_NEXT, #n)
enum { OPEN, STAT, READ, WRITE, RENAME, UNLINK, MKDIR, RMDIR, LIST, FSYNC, TRUNCATE, LINK };

static void keep(int fd, const char *path) {
    if (fd < 0 || fd >= FILES) return;
    pthread_mutex_lock(&lock);
    free(name_of[fd]);
    name_of[fd] = chosen(path) ? strdup(path) : NULL;
    pthread_mutex_unlock(&lock);
}
static int bad(unsigned call, int fd) {
    char path[4096] = "";
    if (fd < 0 || fd >= FILES) return 0;
    pthread_mutex_lock(&lock);
    if (name_of[fd]) strncpy(path, name_of[fd], sizeof path - 1);
    pthread_mutex_unlock(&lock);
    return *path && fails(call, path);
}

#define AT int at,
#define OPENS(n, before, words)                                                                                        \
    int n(before const char *p, int flags, ...) {                                                                      \
        REAL(n);                                                                                                       \
        va_list a;                                                                                                     \
        va_start(a, flags);                                                                                            \
        int mode = va_arg(a, int);                                                                                     \
        va_end(a);                                                                                                     \
        if (fails(OPEN, p)) return -1;                                                                                 \
        int fd = real words;                                                                                           \
        keep(fd, p);                                                                                                   \
        return fd;                                                                                                     \
    }
OPENS(open, , (p, flags, mode)) OPENS(open64, , (p, flags, mode))
OPENS(openat, AT, (at, p, flags, mode)) OPENS(openat64, AT, (at, p, flags, mode))
int close(int fd) { REAL(close); keep(fd, NULL); return real(fd); }

#define STATS(n, s) int n(const char *p, struct s *b) { REAL(n); return fails(STAT, p) ? -1 : real(p, b); }
STATS(stat, stat) STATS(stat64, stat64) STATS(lstat, stat) STATS(lstat64, stat64)
#define FSTATS(n, s) int n(int fd, struct s *b) { REAL(n); return bad(STAT, fd) ? -1 : real(fd, b); }
FSTATS(fstat, stat) FSTATS(fstat64, stat64)
#define STATSAT(n, s) int n(int at, const char *p, struct s *b, int f) { REAL(n); return fails(STAT, p) ? -1 : real(at, p, b, f); }
STATSAT(fstatat, stat) STATSAT(fstatat64, stat64)
int statx(int at, const char *p, int f, unsigned m, struct statx *b) { REAL(statx); return fails(STAT, p) ? -1 : real(at, p, f, m, b); }

ssize_t read(int fd, void *b, size_t n) { REAL(read); return bad(READ, fd) ? -1 : real(fd, b, n); }
#define PREADS(name, o) ssize_t name(int fd, void *b, size_t n, o at) { REAL(name); return bad(READ, fd) ? -1 : real(fd, b, n, at); }
PREADS(pread, off_t) PREADS(pread64, off64_t)
#define PREADVS(name, o) ssize_t name(int fd, const struct iovec *v, int n, o at) { REAL(name); return bad(READ, fd) ? -1 : real(fd, v, n, at); }
PREADVS(preadv, off_t) PREADVS(preadv64, off64_t)

static ssize_t broken(void) { errno = EIO; return -1; }
ssize_t write(int fd, const void *b, size_t n) {
    REAL(write);
    if (!bad(WRITE, fd)) return real(fd, b, n);
    if (torn() && n > 1 && real(fd, b, n / 2) < 0) return -1;
    return broken();
}
#define PWRITES(name, o)                                                                                               \
    ssize_t name(int fd, const void *b, size_t n, o at) {                                                              \
        REAL(name);                                                                                                    \
        if (!bad(WRITE, fd)) return real(fd, b, n, at);                                                                \
        if (torn() && n > 1 && real(fd, b, n / 2, at) < 0) return -1;                                                  \
        return broken();                                                                                               \
    }
PWRITES(pwrite, off_t) PWRITES(pwrite64, off64_t)
#define PWRITEVS(name, o)                                                                                              \
    ssize_t name(int fd, const struct iovec *v, int n, o at) {                                                         \
        REAL(name);                                                                                                    \
        if (!bad(WRITE, fd)) return real(fd, v, n, at);                                                                \
        if (torn() && n && real(fd, v, 1, at) < 0) return -1;                                                          \
        return broken();                                                                                               \
    }
PWRITEVS(pwritev, off_t) PWRITEVS(pwritev64, off64_t)
#define PWRITEV2S(name, o)                                                                                             \
    ssize_t name(int fd, const struct iovec *v, int n, o at, int f) {                                                  \
        REAL(name);                                                                                                    \
        return bad(WRITE, fd) ? -1 : real(fd, v, n, at, f);                                                            \
    }
PWRITEV2S(pwritev2, off_t) PWRITEV2S(pwritev64v2, off64_t)

int rename(const char *a, const char *b) { REAL(rename); return fails(RENAME, b) ? -1 : real(a, b); }
int renameat(int f, const char *a, int t, const char *b) { REAL(renameat); return fails(RENAME, b) ? -1 : real(f, a, t, b); }
int unlink(const char *p) { REAL(unlink); return fails(UNLINK, p) ? -1 : real(p); }
int unlinkat(int at, const char *p, int f) { REAL(unlinkat); return fails(UNLINK, p) ? -1 : real(at, p, f); }
int mkdir(const char *p, mode_t m) { REAL(mkdir); return fails(MKDIR, p) ? -1 : real(p, m); }
int rmdir(const char *p) { REAL(rmdir); return fails(RMDIR, p) ? -1 : real(p); }
int fsync(int fd) { REAL(fsync); return bad(FSYNC, fd) ? -1 : real(fd); }
int ftruncate(int fd, off_t n) { REAL(ftruncate); return bad(TRUNCATE, fd) ? -1 : real(fd, n); }
int ftruncate64(int fd, off64_t n) { REAL(ftruncate64); return bad(TRUNCATE, fd) ? -1 : real(fd, n); }
ssize_t readlink(const char *p, char *b, size_t n) { REAL(readlink); return fails(LINK, p) ? -1 : real(p, b, n); }

/* A stream of names fails at its opening or at its first name: the names of a small folder come by one call. */
static char begun[FILES];
DIR *opendir(const char *p) {
    REAL(opendir);
    if (fails(LIST, p)) return NULL;
    DIR *d = real(p);
    if (d) keep(dirfd(d), p), begun[dirfd(d) % FILES] = 0;
    return d;
}
static int lost(DIR *d) {
    char *at = &begun[dirfd(d) % FILES], first = !*at;
    *at = 1;
    return first && bad(LIST, dirfd(d));
}
struct dirent *readdir(DIR *d) { REAL(readdir); return lost(d) ? NULL : real(d); }
struct dirent64 *readdir64(DIR *d) { REAL(readdir64); return lost(d) ? NULL : real(d); }
int closedir(DIR *d) { REAL(closedir); keep(dirfd(d), NULL); return real(d); }
