/* SPDX-License-Identifier: Apache-2.0
 * Making one segment of many, while others read and write.
 *
 * What was read (`held`) is durable in a new segment M before the first old segment S goes. Between the reading and the
 * removal, S's writer may have replaced it by a version with more lines and have exited since; comparing and then
 * unlinking S would lose those. So S is first renamed to a name U that nobody else knows. That is one step, and U ends
 * in .cvl too: readers find its lines at every instant. Nobody renames anything over U, so that what is then read from
 * U is what is removed; and it is removed only if `held` covers its every line, else U stays, a segment like any other.
 * Every interleaving:
 *   - the writer replaces S before our rename: U is its new version, the new lines are not held, U stays;
 *   - the writer renames its next version to S after our rename: S is there again with all lines of that writer;
 *   - two compactions at once (the lock below only saves work): one of them renames S, the other finds it gone. When
 *     one merges and removes the other's M, its own M covers it and was durable before;
 *   - we die or the power fails at any point: M is durable before the first rename, and U is a segment, so that lines
 *     are at most there twice.
 * Symbolic links, and files of a newer schema, are left as they are. */
#include "tuner/segments.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STALE_SECONDS (24 * 3600)

struct check { const struct cvl_line_set *held; bool covered; };

static bool check_line(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct check *check = arg;
    check->covered = cvl_line_set_covers(check->held, line, length);
    return check->covered;
}

static bool covers_file(const struct cvl_line_set *held, const char *path, bool damaged_too)
{
    struct check check = { held, false };
    struct cvl_line_set *lines = NULL;
    struct cvl_read_report report;
    if (cvl_line_set_create(&lines) == CVL_OK && cvl_line_set_read(lines, path, &report) == CVL_OK &&
        !report.newer_schema && (damaged_too || !report.why[0])) {
        check.covered = true;
        cvl_line_set_each(lines, false, check_line, &check);
    }
    cvl_line_set_destroy(lines);
    return check.covered;
}

/* Whatever fails here leaves a segment more than there need be. */
static void retire(const char *directory, const char *name, const struct cvl_line_set *held, bool damaged_too)
{
    char private_name[CVL_SEGMENT_NAME];
    struct stat at;
    cvl_segment_name(private_name);
    char *from = cvl_segment_path(directory, name);
    char *to = cvl_segment_path(directory, private_name);
    if (from && to && lstat(from, &at) == 0 && S_ISREG(at.st_mode) && rename(from, to) == 0 &&
        covers_file(held, to, damaged_too))
        unlink(to);
    free(from);
    free(to);
}

static cvl_status write_segment(const char *directory, const struct cvl_line_set *lines)
{
    char name[CVL_SEGMENT_NAME];
    cvl_segment_name(name);
    char *path = cvl_segment_path(directory, name);
    const cvl_status status = path ? cvl_line_set_write(lines, path) : CVL_ENOMEM;
    free(path);
    return status;
}

/* What a writer that died left half-written. A younger one may be a live writer's. */
static void remove_stale(const char *directory)
{
    struct cvl_names names;
    if (cvl_names_list(&names, directory, ".tmp") != CVL_OK)
        return;
    for (int i = 0; i < names.count; i++) {
        struct stat at;
        char *path = strstr(names.name[i], ".cvl.") ? cvl_segment_path(directory, names.name[i]) : NULL;
        if (path && lstat(path, &at) == 0 && S_ISREG(at.st_mode) && at.st_mtime < time(NULL) - STALE_SECONDS)
            unlink(path);
        free(path);
    }
    cvl_names_free(&names);
}

static cvl_status compact_locked(const char *directory)
{
    struct cvl_names sound = { NULL, 0 };
    struct cvl_line_set *held = NULL;
    int ours = 0;
    cvl_status status = cvl_line_set_create(&held);
    if (status == CVL_OK)
        status = cvl_segments_read(NULL, directory, held, &sound, NULL);
    for (int i = 0; i < sound.count; i++)
        ours += cvl_segment_named(sound.name[i]);
    if (status == CVL_OK && ours > CVL_SEGMENTS_FEW) {
        status = write_segment(directory, held);
        for (int i = 0; i < sound.count && status == CVL_OK; i++)
            if (cvl_segment_named(sound.name[i]))
                retire(directory, sound.name[i], held, false);
        remove_stale(directory);
    }
    cvl_line_set_destroy(held);
    cvl_names_free(&sound);
    return status;
}

cvl_status cvl_segments_compact(const char *directory)
{
    struct cvl_names names;
    cvl_status status = cvl_names_list(&names, directory, ".cvl");
    if (status != CVL_OK)
        return status;
    const bool many = names.count > CVL_SEGMENTS_FEW;
    cvl_names_free(&names);
    const int fd = many ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0)
        return CVL_OK;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        status = compact_locked(directory);
    close(fd);
    return status;
}

struct filter { cvl_line_fn *keep; void *arg; struct cvl_line_set *kept; cvl_status status; };

static bool filter_line(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct filter *filter = arg;
    if (filter->keep(filter->arg, kind, line, length))
        filter->status = cvl_line_set_add(filter->kept, line, length, NULL);
    return filter->status == CVL_OK;
}

cvl_status cvl_segments_prune(const char *directory, cvl_line_fn *keep, void *arg)
{
    struct cvl_names sound = { NULL, 0 }, damaged = { NULL, 0 };
    struct cvl_line_set *held = NULL;
    struct filter filter = { keep, arg, NULL, CVL_OK };
    cvl_status status = cvl_line_set_create(&held);
    if (status == CVL_OK)
        status = cvl_line_set_create(&filter.kept);
    if (status == CVL_OK)
        status = cvl_segments_read(NULL, directory, held, &sound, &damaged);
    if (status == CVL_OK)
        status = cvl_line_set_each(held, false, filter_line, &filter);
    if (status == CVL_OK)
        status = filter.status;
    if (status == CVL_OK && cvl_line_set_count(filter.kept) > 0)
        status = write_segment(directory, filter.kept);
    for (int i = 0; i < sound.count && status == CVL_OK; i++)
        retire(directory, sound.name[i], held, false);
    for (int i = 0; i < damaged.count && status == CVL_OK; i++)
        retire(directory, damaged.name[i], held, true);
    cvl_line_set_destroy(filter.kept);
    cvl_line_set_destroy(held);
    cvl_names_free(&damaged);
    cvl_names_free(&sound);
    return status;
}
