/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/error.h"
#include "base/hash.h"

uint64_t cvl_disk_random(void)
{
    uint64_t value;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) == (ssize_t)sizeof value)
        return value;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return cvl_hash_mix((uint64_t)now.tv_sec << 32 ^ (uint64_t)now.tv_nsec, (uint64_t)getpid());
}

char *cvl_disk_resolve(const char *path)
{
    struct stat link;
    char *target = lstat(path, &link) == 0 && S_ISLNK(link.st_mode) ? realpath(path, NULL) : NULL;
    return target ? target : strdup(path);
}

/* Some file systems cannot sync a directory and say EINVAL: they have nothing to be synced. */
static int sync_directory(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    const int error = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    close(fd);
    return error;
}

cvl_status cvl_disk_sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (!parent)
        return cvl_fail(CVL_ENOMEM, "no memory for the path of a directory");
    const int error = sync_directory(parent);
    free(parent);
    return error ? cvl_fail(CVL_EIO, "cannot sync the directory of %s: %s", path, strerror(error)) : CVL_OK;
}

static bool is_directory(const char *path)
{
    struct stat at;
    return stat(path, &at) == 0 && S_ISDIR(at.st_mode);
}

static cvl_status make_one(const char *path)
{
    if (mkdir(path, 0777) == 0)
        return cvl_disk_sync_parent(path);
    const int error = errno == EEXIST ? ENOTDIR : errno;   /* something else has the name */
    return is_directory(path) ? CVL_OK : cvl_fail(CVL_EIO, "cannot make the directory %s: %s", path, strerror(error));
}

cvl_status cvl_disk_make_directory(const char *path)
{
    char *copy = is_directory(path) ? NULL : strdup(path);
    cvl_status status = CVL_OK;
    if (!copy)
        return is_directory(path) ? CVL_OK : cvl_fail(CVL_ENOMEM, "no memory for the path %s", path);
    for (size_t length = strlen(copy); length > 1 && copy[length - 1] == '/'; length--)
        copy[length - 1] = '\0';
    for (char *slash = strchr(copy + 1, '/'); slash && status == CVL_OK; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (!is_directory(copy))
            status = make_one(copy);
        *slash = '/';
    }
    if (status == CVL_OK)
        status = make_one(copy);
    free(copy);
    return status;
}

cvl_status cvl_names_add(struct cvl_names *names, const char *name)
{
    char *copy = strdup(name);
    char **more = names->name;
    if (copy && (names->count & (names->count - 1)) == 0)
        more = realloc(names->name, (size_t)(names->count ? 2 * names->count : 1) * sizeof *more);
    if (!copy || !more) {
        free(copy);
        return cvl_fail(CVL_ENOMEM, "no memory for the name of a file");
    }
    names->name = more;
    names->name[names->count++] = copy;
    return CVL_OK;
}

cvl_status cvl_names_list(struct cvl_names *names, const char *directory, const char *suffix)
{
    const size_t suffix_length = strlen(suffix);
    cvl_status status = CVL_OK;
    DIR *open_directory = opendir(directory);
    *names = (struct cvl_names){ NULL, 0 };
    if (!open_directory)
        return cvl_fail(CVL_EIO, "cannot list %s: %s", directory, strerror(errno));
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(open_directory);
        if (!entry && errno)
            status = cvl_fail(CVL_EIO, "cannot list %s: %s", directory, strerror(errno));
        if (!entry)
            break;
        const size_t length = strlen(entry->d_name);
        if (entry->d_name[0] == '.' || length <= suffix_length ||
            strcmp(entry->d_name + length - suffix_length, suffix) != 0)
            continue;
        status = cvl_names_add(names, entry->d_name);
        if (status != CVL_OK)
            break;
    }
    closedir(open_directory);
    if (status != CVL_OK)
        cvl_names_free(names);
    return status;
}

bool cvl_names_have(const struct cvl_names *names, const char *name)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->name[i], name) == 0)
            return true;
    return false;
}

void cvl_names_free(struct cvl_names *names)
{
    for (int i = 0; i < names->count; i++)
        free(names->name[i]);
    free(names->name);
    *names = (struct cvl_names){ NULL, 0 };
}
