/* What a power cut would leave: preloaded into a process, it notes what has been synced. Where
 * POWERCUT_SYNCS is set, every sync after that many fails, as on a disk that has gone.
 *
 * For every file the length at its last fsync or fdatasync, for small files also the bytes (they may
 * be overwritten in place), for every folder the names at its last fsync. sync_file_range is no sync.
 * The notes lie in the folder that POWERCUT_NOTES names, by inode; they go when the file goes, since
 * another one may get its inode.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SMALL = 64 << 10 };

static void note_path(char *path, size_t size, const char *kind, ino_t inode)
{
    snprintf(path, size, "%s/%s-%" PRIuMAX, getenv("POWERCUT_NOTES"), kind, (uintmax_t)inode);
}

/* A note is written aside and renamed, so that a kill never leaves half of one. */
static void put(const char *kind, ino_t inode, const void *bytes, size_t size)
{
    char path[4096], new[4200];
    note_path(path, sizeof path, kind, inode);
    snprintf(new, sizeof new, "%s.new-%d", path, (int)gettid());
    int fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || close(fd))
        abort();
    if (renameat(AT_FDCWD, new, AT_FDCWD, path))
        abort();
}

static void note_folder(int fd, ino_t inode)
{
    static _Thread_local char names[1 << 20];
    char link[64];
    size_t used = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    DIR *folder = opendir(link);
    if (!folder)
        abort();
    for (struct dirent *entry; (entry = readdir(folder));)
        used += snprintf(names + used, sizeof names - used, "%s\n", entry->d_name);
    closedir(folder);
    put("folder", inode, names, used);
}

static int sync_and_note(int fd, const char *call)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, call);
    static _Thread_local char bytes[SMALL];
    struct stat before;
    static _Atomic long syncs;
    const char *most = getenv("POWERCUT_SYNCS");
    if (most && ++syncs > atol(most)) {
        errno = EIO;
        return -1;
    }
    /* What is written while the sync runs may or may not be covered: it is not. */
    if (!getenv("POWERCUT_NOTES") || fstat(fd, &before))
        return real(fd);
    ssize_t small = -1;
    if (S_ISREG(before.st_mode) && before.st_size <= SMALL) {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        int again = open(link, O_RDONLY | O_CLOEXEC); /* RocksDB's own is for writing only. */
        small = again < 0 ? -1 : pread(again, bytes, before.st_size, 0);
        close(again);
    }
    int result = real(fd);
    if (result)
        return result;
    if (S_ISDIR(before.st_mode)) {
        note_folder(fd, before.st_ino);
    } else if (S_ISREG(before.st_mode)) {
        char length[32];
        int digits = snprintf(length, sizeof length, "%" PRIdMAX, (intmax_t)before.st_size);
        put("length", before.st_ino, length, digits);
        if (small >= 0)
            put("bytes", before.st_ino, bytes, small);
    }
    return result;
}

static void forget(ino_t inode)
{
    char path[4096];
    note_path(path, sizeof path, "length", inode);
    unlinkat(AT_FDCWD, path, 0);
    note_path(path, sizeof path, "bytes", inode);
    unlinkat(AT_FDCWD, path, 0);
}

int unlink(const char *path)
{
    int (*real)(const char *) = (int (*)(const char *))dlsym(RTLD_NEXT, "unlink");
    struct stat file;
    if (getenv("POWERCUT_NOTES") && !lstat(path, &file) && S_ISREG(file.st_mode))
        forget(file.st_ino);
    return real(path);
}

int rename(const char *from, const char *to)
{
    struct stat file;
    if (getenv("POWERCUT_NOTES") && !lstat(to, &file) && S_ISREG(file.st_mode))
        forget(file.st_ino);
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int fsync(int fd) { return sync_and_note(fd, "fsync"); }
int fdatasync(int fd) { return sync_and_note(fd, "fdatasync"); }
