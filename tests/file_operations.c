/* Numbers the operations of a process on the files of one folder, records them, and kills the process before one.

Loaded with LD_PRELOAD, it stands in for the functions of the C library that change files. `watch` arms it. Each
operation happens under one lock, so that the numbers are the order in which the kernel saw them.

Libraries in Rust rename by system calls of their own. A filter (seccomp) turns such calls into a signal, whose handler
does the same as the functions here. Not seen are writes and opens by system calls that pass by the C library, writes
of `fwrite`, and writes to mapped memory. So the tests compare what was recorded with what lies in the folder in the
end. Linux only. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

/* The kinds of operations; tests/file_operations.py has the same letters. */
enum {
    CREATE = 'c', WRITE = 'w', TRUNCATE = 't', SYNC = 's', SYNC_FOLDER = 'S', LINK = 'l', RENAME = 'r', UNLINK = 'u',
    MKDIR = 'm', RMDIR = 'd', SEND = 'n', NOTE = '#', UNKNOWN = '?'
};

#define PATH_BYTES (2 * PATH_MAX)
/* The sixth argument of our own system calls, by which the filter knows them. */
#define OURS 0x5eed

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char watched[PATH_MAX];
static size_t watched_length;
static int armed, counts_sends, trace = -1;
static long count, kill_at;

struct header {
    uint8_t kind;
    uint32_t path, other;
    uint64_t inode;
    int64_t offset;
    uint64_t data;
} __attribute__((packed));

static void trap_system_calls(void);

/* Begin to count the operations on what lies in `folder`. Kill before operation number `number`, if it is above zero;
   append the operations to the file `record`, if it is not empty. `sends`: count what is sent to sockets, too. */
void watch(const char *folder, long number, const char *record, int sends)
{
    snprintf(watched, sizeof watched, "%s", folder);
    watched_length = strlen(watched);
    trace = *record ? syscall(SYS_openat, AT_FDCWD, record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    kill_at = number;
    count = 0;
    counts_sends = sends;
    armed = 1;
    trap_system_calls();
}

/* The number of operations so far. */
long watched_operations(void)
{
    return count;
}

static int is_watched(const char *path)
{
    return !strncmp(path, watched, watched_length) && (path[watched_length] == '/' || !path[watched_length]);
}

/* The absolute path of `path` as seen from the folder `at`; 1 if it is watched. */
static int locate(int at, const char *path, char *into)
{
    char base[PATH_MAX] = "", link[64];
    if (!armed || !path)
        return 0;
    if (*path != '/') {
        if (at == AT_FDCWD) {
            if (!getcwd(base, sizeof base))
                return 0;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", at);
            ssize_t length = readlink(link, base, sizeof base - 1);
            if (length < 0)
                return 0;
            base[length] = 0;
        }
        strcat(base, "/");
    }
    snprintf(into, PATH_BYTES, "%s%s", base, path);
    for (size_t end = strlen(into); end > 1 && into[end - 1] == '/'; end--)
        into[end - 1] = 0;
    return is_watched(into);
}

/* The path of an open file; 1 if it is watched. */
static int locate_open(int file, char *into)
{
    char link[64];
    if (!armed)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, into, PATH_BYTES - 1);
    if (length < 0)
        return 0;
    into[length] = 0;
    return is_watched(into);
}

static void begin(void)
{
    pthread_mutex_lock(&lock);
    if (++count == kill_at) {
        kill(getpid(), SIGKILL);
        for (;;)
            pause();
    }
}

static void put(const void *bytes, size_t length)
{
    const char *next = bytes;
    while (length) {
        ssize_t written = syscall(SYS_write, trace, next, length);
        if (written < 0) {
            if (errno == EINTR)
                continue;
            abort();
        }
        next += written;
        length -= written;
    }
}

static void record(int kind, const char *path, const char *other, uint64_t inode, int64_t offset, const void *data,
                   size_t length)
{
    if (trace < 0)
        return;
    struct header header = {kind, strlen(path), strlen(other), inode, offset, length};
    put(&header, sizeof header);
    put(path, header.path);
    put(other, header.other);
    put(data, length);
}

/* Put a remark into the record, such as what has just been reported as done. It is no operation. */
void note(const char *text)
{
    pthread_mutex_lock(&lock);
    record(NOTE, text, "", 0, count, "", 0);
    pthread_mutex_unlock(&lock);
}

static long end(long result)
{
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

static uint64_t inode_of(int file)
{
    struct stat found;
    return fstat(file, &found) ? 0 : found.st_ino;
}

static uint64_t inode_at(const char *path)
{
    struct stat found;
    return lstat(path, &found) ? 0 : found.st_ino;
}

/* Files and folders that are opened */

static int open_at(int at, const char *path, int flags, mode_t mode)
{
    char full[PATH_BYTES];
    if (!(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE || !locate(at, path, full))
        return syscall(SYS_openat, at, path, flags, mode);
    struct stat before;
    int exists = !stat(full, &before);
    if (exists && (!(flags & O_TRUNC) || !S_ISREG(before.st_mode)))
        return syscall(SYS_openat, at, path, flags, mode);
    begin();
    int file = syscall(SYS_openat, at, path, flags, mode);
    if (file >= 0)
        record(exists ? TRUNCATE : CREATE, full, "", inode_of(file), 0, "", 0);
    return end(file);
}

#define OPEN(name, ...)                                                                                                \
    {                                                                                                                  \
        mode_t mode = 0;                                                                                               \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                                           \
            va_list more;                                                                                              \
            va_start(more, flags);                                                                                     \
            mode = va_arg(more, mode_t);                                                                               \
            va_end(more);                                                                                              \
        }                                                                                                              \
        return open_at(__VA_ARGS__, path, flags, mode);                                                                \
    }
int open(const char *path, int flags, ...) OPEN(open, AT_FDCWD)
int open64(const char *path, int flags, ...) OPEN(open64, AT_FDCWD)
int openat(int at, const char *path, int flags, ...) OPEN(openat, at)
int openat64(int at, const char *path, int flags, ...) OPEN(openat64, at)

int creat(const char *path, mode_t mode)
{
    return open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

int creat64(const char *path, mode_t mode)
{
    return creat(path, mode);
}

/* The C library opens the file by itself, so it is opened here first. C++ streams write with `write`. */
static FILE *open_stream(const char *name, const char *path, const char *mode)
{
    FILE *(*real)(const char *, const char *) = dlsym(RTLD_NEXT, name);
    if (*mode != 'r' && armed) {
        int more = *mode == 'w' ? O_TRUNC : 0;
        int file = open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | more | (strchr(mode, 'x') ? O_EXCL : 0), 0666);
        if (file < 0)
            return NULL;
        close(file);
        char plain[16] = "";
        for (; *mode && strlen(plain) < sizeof plain - 1; mode++)
            if (*mode != 'x')
                strncat(plain, mode, 1);
        return real(path, plain);
    }
    return real(path, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    return open_stream("fopen", path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    return open_stream("fopen64", path, mode);
}

/* The content of files */

static ssize_t write_vector(int file, const struct iovec *parts, int number, int64_t offset)
{
    char path[PATH_BYTES];
    if (!locate_open(file, path))
        return offset < 0 ? syscall(SYS_writev, file, parts, number)
                          : syscall(SYS_pwritev, file, parts, number, offset, 0);
    begin();
    int64_t place = offset < 0 ? lseek(file, 0, SEEK_CUR) : offset;
    if (offset < 0 && fcntl(file, F_GETFL) & O_APPEND)
        place = lseek(file, 0, SEEK_END);
    ssize_t written = offset < 0 ? syscall(SYS_writev, file, parts, number)
                                 : syscall(SYS_pwritev, file, parts, number, offset, 0);
    if (written > 0 && trace >= 0) {
        char *data = malloc(written);
        ssize_t have = 0;
        for (int n = 0; n < number && have < written; n++) {
            size_t size = parts[n].iov_len < (size_t)(written - have) ? parts[n].iov_len : (size_t)(written - have);
            memcpy(data + have, parts[n].iov_base, size);
            have += size;
        }
        record(WRITE, path, "", inode_of(file), place, data, written);
        free(data);
    }
    return end(written);
}

ssize_t write(int file, const void *data, size_t length)
{
    if (!armed)
        return syscall(SYS_write, file, data, length);
    struct iovec one = {(void *)data, length};
    return write_vector(file, &one, 1, -1);
}

ssize_t pwrite(int file, const void *data, size_t length, off_t offset)
{
    struct iovec one = {(void *)data, length};
    return write_vector(file, &one, 1, offset);
}

ssize_t pwrite64(int file, const void *data, size_t length, off64_t offset)
{
    return pwrite(file, data, length, offset);
}

ssize_t writev(int file, const struct iovec *parts, int number)
{
    return write_vector(file, parts, number, -1);
}

ssize_t pwritev(int file, const struct iovec *parts, int number, off_t offset)
{
    return write_vector(file, parts, number, offset);
}

ssize_t pwritev64(int file, const struct iovec *parts, int number, off64_t offset)
{
    return write_vector(file, parts, number, offset);
}

/* Callers of these two fall back to `write`. */
ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags)
{
    char path[PATH_BYTES];
    if (!locate_open(to, path))
        return syscall(SYS_copy_file_range, from, from_offset, to, to_offset, length, flags);
    errno = EXDEV;
    return -1;
}

ssize_t sendfile(int to, int from, off_t *offset, size_t length)
{
    char path[PATH_BYTES];
    if (!locate_open(to, path))
        return syscall(SYS_sendfile, to, from, offset, length);
    errno = EINVAL;
    return -1;
}

ssize_t sendfile64(int to, int from, off64_t *offset, size_t length)
{
    return sendfile(to, from, offset, length);
}

int ftruncate(int file, off_t length)
{
    char path[PATH_BYTES];
    if (!locate_open(file, path))
        return syscall(SYS_ftruncate, file, length, 0, 0, 0, OURS);
    begin();
    int result = syscall(SYS_ftruncate, file, length, 0, 0, 0, OURS);
    if (!result)
        record(TRUNCATE, path, "", inode_of(file), length, "", 0);
    return end(result);
}

int ftruncate64(int file, off64_t length)
{
    return ftruncate(file, length);
}

int truncate(const char *path, off_t length)
{
    char full[PATH_BYTES];
    if (!locate(AT_FDCWD, path, full))
        return syscall(SYS_truncate, path, length);
    begin();
    int result = syscall(SYS_truncate, path, length);
    if (!result)
        record(TRUNCATE, full, "", inode_at(full), length, "", 0);
    return end(result);
}

int truncate64(const char *path, off64_t length)
{
    return truncate(path, length);
}

/* It is recorded as a file that has grown. */
int posix_fallocate(int file, off_t offset, off_t length)
{
    char path[PATH_BYTES];
    struct stat found;
    if (locate_open(file, path) && !fstat(file, &found))
        return found.st_size < offset + length && ftruncate(file, offset + length) ? errno : 0;
    return syscall(SYS_fallocate, file, 0, offset, length) ? errno : 0;
}

int posix_fallocate64(int file, off64_t offset, off64_t length)
{
    return posix_fallocate(file, offset, length);
}

int fallocate(int file, int mode, off_t offset, off_t length)
{
    char path[PATH_BYTES];
    if (!locate_open(file, path))
        return syscall(SYS_fallocate, file, mode, offset, length);
    errno = EOPNOTSUPP;
    return -1;
}

int fallocate64(int file, int mode, off64_t offset, off64_t length)
{
    return fallocate(file, mode, offset, length);
}

static int sync_open(long number, int file)
{
    char path[PATH_BYTES];
    struct stat found;
    if (!locate_open(file, path))
        return syscall(number, file, 0, 0, 0, 0, OURS);
    begin();
    int result = syscall(number, file, 0, 0, 0, 0, OURS);
    if (!result && !fstat(file, &found))
        record(S_ISDIR(found.st_mode) ? SYNC_FOLDER : SYNC, path, "", found.st_ino, 0, "", 0);
    return end(result);
}

int fsync(int file)
{
    return sync_open(SYS_fsync, file);
}

int fdatasync(int file)
{
    return sync_open(SYS_fdatasync, file);
}

/* The names in folders */

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    char source[PATH_BYTES], target[PATH_BYTES];
    int leaves = locate(from, old, source), arrives = locate(to, new, target);
    if (!leaves && !arrives)
        return syscall(SYS_renameat2, from, old, to, new, flags, OURS);
    begin();
    int result = syscall(SYS_renameat2, from, old, to, new, flags, OURS);
    if (!result)
        record(leaves && arrives ? RENAME : UNKNOWN, source, target, inode_at(target), 0, "", 0);
    return end(result);
}

int renameat(int from, const char *old, int to, const char *new)
{
    return renameat2(from, old, to, new, 0);
}

int rename(const char *old, const char *new)
{
    return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0);
}

int linkat(int from, const char *old, int to, const char *new, int flags)
{
    char source[PATH_BYTES], target[PATH_BYTES];
    locate(from, old, source);
    if (!locate(to, new, target))
        return syscall(SYS_linkat, from, old, to, new, flags, OURS);
    begin();
    int result = syscall(SYS_linkat, from, old, to, new, flags, OURS);
    if (!result)
        record(LINK, source, target, inode_at(target), 0, "", 0);
    return end(result);
}

int link(const char *old, const char *new)
{
    return linkat(AT_FDCWD, old, AT_FDCWD, new, 0);
}

int symlinkat(const char *content, int at, const char *path)
{
    char full[PATH_BYTES];
    if (!locate(at, path, full))
        return syscall(SYS_symlinkat, content, at, path);
    begin();
    int result = syscall(SYS_symlinkat, content, at, path);
    if (!result)
        record(UNKNOWN, full, content, inode_at(full), 0, "", 0);
    return end(result);
}

int symlink(const char *content, const char *path)
{
    return symlinkat(content, AT_FDCWD, path);
}

int unlinkat(int at, const char *path, int flags)
{
    char full[PATH_BYTES];
    if (!locate(at, path, full))
        return syscall(SYS_unlinkat, at, path, flags, 0, 0, OURS);
    uint64_t inode = inode_at(full);
    if (!inode)
        return syscall(SYS_unlinkat, at, path, flags, 0, 0, OURS);
    begin();
    int result = syscall(SYS_unlinkat, at, path, flags, 0, 0, OURS);
    if (!result)
        record(flags & AT_REMOVEDIR ? RMDIR : UNLINK, full, "", inode, 0, "", 0);
    return end(result);
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
    struct stat found;
    return !lstat(path, &found) && S_ISDIR(found.st_mode) ? rmdir(path) : unlink(path);
}

int mkdirat(int at, const char *path, mode_t mode)
{
    char full[PATH_BYTES];
    if (!locate(at, path, full) || inode_at(full))
        return syscall(SYS_mkdirat, at, path, mode, 0, 0, OURS);
    begin();
    int result = syscall(SYS_mkdirat, at, path, mode, 0, 0, OURS);
    if (!result)
        record(MKDIR, full, "", inode_at(full), 0, "", 0);
    return end(result);
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

/* What a client sends to a server of a database */

ssize_t sendto(int socket, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t size)
{
    if (!armed || !counts_sends)
        return syscall(SYS_sendto, socket, data, length, flags, to, size);
    begin();
    ssize_t sent = syscall(SYS_sendto, socket, data, length, flags, to, size);
    record(SEND, "", "", 0, 0, "", 0);
    return end(sent);
}

ssize_t send(int socket, const void *data, size_t length, int flags)
{
    return sendto(socket, data, length, flags, NULL, 0);
}

/* System calls that pass by the C library */

#if defined __x86_64__ || defined __aarch64__
static long do_trapped(long number, const uint64_t *given)
{
    const char *first = (const char *)given[0], *second = (const char *)given[1], *fourth = (const char *)given[3];
    switch (number) {
#ifdef __x86_64__
    case SYS_rename:
        return rename(first, second);
    case SYS_link:
        return link(first, second);
    case SYS_unlink:
        return unlink(first);
    case SYS_mkdir:
        return mkdir(first, given[1]);
    case SYS_rmdir:
        return rmdir(first);
#endif
#ifdef SYS_renameat
    case SYS_renameat:
        return renameat(given[0], second, given[2], fourth);
#endif
    case SYS_renameat2:
        return renameat2(given[0], second, given[2], fourth, given[4]);
    case SYS_linkat:
        return linkat(given[0], second, given[2], fourth, given[4]);
    case SYS_unlinkat:
        return unlinkat(given[0], second, given[2]);
    case SYS_mkdirat:
        return mkdirat(given[0], second, given[2]);
    case SYS_ftruncate:
        return ftruncate(given[0], given[1]);
    case SYS_fsync:
        return fsync(given[0]);
    case SYS_fdatasync:
        return fdatasync(given[0]);
    }
    errno = ENOSYS;
    return -1;
}

static void handle_trap(int signal, siginfo_t *info, void *context)
{
    int error = errno;
    ucontext_t *state = context;
#ifdef __x86_64__
    greg_t *from = state->uc_mcontext.gregs;
    uint64_t given[] = {from[REG_RDI], from[REG_RSI], from[REG_RDX], from[REG_R10], from[REG_R8]};
#else
    unsigned long long *from = state->uc_mcontext.regs;
    uint64_t given[] = {from[0], from[1], from[2], from[3], from[4]};
#endif
    (void)signal;
    long result = do_trapped(info->si_syscall, given);
    result = result < 0 ? -errno : result;
#ifdef __x86_64__
    from[REG_RAX] = result;
#else
    from[0] = result;
#endif
    errno = error;
}

#define TRAP(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)

static void trap_system_calls(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OURS, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef __x86_64__
        TRAP(SYS_rename), TRAP(SYS_link), TRAP(SYS_unlink), TRAP(SYS_mkdir), TRAP(SYS_rmdir),
#endif
#ifdef SYS_renameat
        TRAP(SYS_renameat),
#endif
        TRAP(SYS_renameat2), TRAP(SYS_linkat), TRAP(SYS_unlinkat), TRAP(SYS_mkdirat), TRAP(SYS_ftruncate),
        TRAP(SYS_fsync), TRAP(SYS_fdatasync),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    struct sigaction action = {.sa_sigaction = handle_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSYS, &action, NULL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
#else
static void trap_system_calls(void)
{
}
#endif
