/* SPDX-License-Identifier: Apache-2.0
 * A segment is never changed in place: its writer renames a new version over it. So a file that was opened is read
 * whole as it was at one instant, and only the directory can change under a reader. It lists again until a listing
 * shows no name that it has not read. (A line can be missed only if it moves to a new segment behind the cursor of one
 * listing and from there to another behind the cursor of the next one. Listings of this size are one system call, which
 * Linux does while holding off renames; and a line missed is a miss and measured again, not lost.) */
#include "tuner/segments.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LISTINGS_MAX 64

void cvl_segment_name(char name[CVL_SEGMENT_NAME])
{
    snprintf(name, CVL_SEGMENT_NAME, "%08" PRIx32 "-%ld-%" PRIx64 "-%016" PRIx64 ".cvl", (uint32_t)cvl_disk_random(),
             (long)getpid(), (uint64_t)time(NULL), cvl_disk_random());
}

bool cvl_segment_named(const char *name)
{
    const size_t digits = strspn(name, "0123456789abcdef-");
    int dashes = 0;
    for (size_t i = 0; i < digits; i++)
        dashes += name[i] == '-';
    return dashes == 3 && digits > 28 && strcmp(name + digits, ".cvl") == 0;
}

char *cvl_segment_path(const char *directory, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", directory, name) >= 0)
        return path;
    cvl_fail(CVL_ENOMEM, "no memory for the path of %s", name);
    return NULL;
}

enum found { FOUND, VANISHED, UNREADABLE };

/* A name that was listed and is gone has vanished even if it is there again: its writer has replaced it meanwhile. */
static enum found look_at(const char *path, const char **what)
{
    struct stat at, link;
    if (stat(path, &at) == 0) {
        *what = "not a regular file";
        return S_ISREG(at.st_mode) ? FOUND : UNREADABLE;
    }
    const int error = errno;
    const bool dangling = lstat(path, &link) == 0 && S_ISLNK(link.st_mode);
    *what = strerror(error);
    return error == ENOENT && !dangling ? VANISHED : UNREADABLE;
}

struct reading {
    const cvl_ctx       *ctx;
    const char          *directory;
    struct cvl_line_set *set;
    struct cvl_names    *sound, *damaged;
    struct cvl_names     done;
    bool                 news;       /* this listing showed something that is not done */
};

/* CVL_ENOMEM alone: all else is somebody else's file being what it is. */
static cvl_status read_one(struct reading *reading, const char *name)
{
    struct cvl_read_report report;
    const char *what;
    char *path = cvl_segment_path(reading->directory, name);
    if (!path)
        return CVL_ENOMEM;
    const enum found found = look_at(path, &what);
    cvl_status status = CVL_OK;
    if (found == FOUND)
        status = cvl_line_set_read(reading->set, path, &report);
    const bool vanished = found == VANISHED || (status == CVL_EIO && report.missing);
    if (found == UNREADABLE)
        cvl_log(reading->ctx, CVL_LOG_WARNING, "%s: %s, not read", path, what);
    else if (status == CVL_EIO && !vanished)
        cvl_log(reading->ctx, CVL_LOG_WARNING, "%s", cvl_last_error());
    else if (!vanished && status == CVL_OK && report.why[0])
        cvl_log(reading->ctx, CVL_LOG_WARNING, "%s", report.why);
    free(path);
    reading->news = true;
    if (vanished || status == CVL_ENOMEM)
        return vanished ? CVL_OK : CVL_ENOMEM;

    const bool whole = found == FOUND && status == CVL_OK && !report.newer_schema;
    struct cvl_names *list = !whole ? NULL : report.why[0] ? reading->damaged : reading->sound;
    status = cvl_names_add(&reading->done, name);
    return status == CVL_OK && list ? cvl_names_add(list, name) : status;
}

cvl_status cvl_segments_read(const cvl_ctx *ctx, const char *directory, struct cvl_line_set *set,
                             struct cvl_names *sound, struct cvl_names *damaged)
{
    struct reading reading = { ctx, directory, set, sound, damaged, { NULL, 0 }, true };
    cvl_status status = CVL_OK;
    for (int i = 0; i < LISTINGS_MAX && reading.news && status == CVL_OK; i++) {
        struct cvl_names names;
        reading.news = false;
        status = cvl_names_list(&names, directory, ".cvl");
        if (status != CVL_OK)
            break;
        for (int j = 0; j < names.count && status == CVL_OK; j++)
            if (!cvl_names_have(&reading.done, names.name[j]))
                status = read_one(&reading, names.name[j]);
        cvl_names_free(&names);
    }
    cvl_names_free(&reading.done);
    return status;
}
