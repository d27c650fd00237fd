/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "tuner/layers.h"
#include "tuner/segments.h"

/* A segment is rewritten whole at every sync: a new one is begun when that becomes more than a few pages. */
#define SEGMENT_LINES 256

enum place { NOWHERE, DIRECTORY, EXPORTED_FILE };

struct cvl_store {
    const cvl_ctx       *ctx;
    char                *path;
    enum place           place;
    struct cvl_line_set *lines;      /* all */
    struct cvl_line_set *own;        /* those of our present segment */
    char                 segment[CVL_SEGMENT_NAME];
    pid_t                process;    /* that the segment belongs to */
    bool                 unsynced, wrote;
    bool                 told;       /* the caller knows that the last sync failed */
};

static enum place find_place(const cvl_ctx *ctx, const char *path)
{
    struct stat at;
    if (stat(path, &at) == 0)
        return S_ISDIR(at.st_mode) ? DIRECTORY : EXPORTED_FILE;
    if (errno != ENOENT && errno != ENOTDIR)
        cvl_log(ctx, CVL_LOG_WARNING, "%s: %s, its records are not used", path, strerror(errno));
    return DIRECTORY;
}

static cvl_status read_exported(const cvl_ctx *ctx, const char *path, struct cvl_line_set *lines)
{
    struct cvl_read_report report;
    const cvl_status status = cvl_line_set_read(lines, path, &report);
    if (status == CVL_OK && report.why[0])
        cvl_log(ctx, CVL_LOG_WARNING, "%s", report.why);
    return status;
}

static cvl_status read_place(const cvl_ctx *ctx, const char *path, enum place place, struct cvl_line_set *lines)
{
    cvl_status status = CVL_OK;
    if (place == EXPORTED_FILE)
        status = read_exported(ctx, path, lines);
    else if (access(path, F_OK) == 0)
        status = cvl_segments_read(ctx, path, lines, NULL, NULL);
    if (status != CVL_EIO)
        return status;
    cvl_log(ctx, CVL_LOG_WARNING, "%s", cvl_last_error());
    return CVL_OK;
}

/* The uppermost is read as it is, what lies below it where it adds something. */
static cvl_status read_layer(struct cvl_store *store, const char *path, enum place place, bool uppermost)
{
    struct cvl_line_set *below;
    if (uppermost)
        return read_place(store->ctx, path, place, store->lines);
    cvl_status status = access(path, F_OK) == 0 ? cvl_line_set_create(&below) : CVL_OK;
    if (status != CVL_OK || access(path, F_OK) != 0)
        return status;
    status = read_place(store->ctx, path, place, below);
    if (status == CVL_OK)
        status = cvl_layers_lay_under(&store->lines, below);
    cvl_line_set_destroy(below);
    return status;
}

/* What is measured goes to the first directory that is not the project's or shipped; without one nothing can be stored,
 * and the first place says so. */
static cvl_status read_layers(struct cvl_store *store, const struct cvl_layers *layers)
{
    cvl_status status = CVL_OK;
    for (int i = 0; i < layers->count && status == CVL_OK; i++) {
        const enum place place = find_place(store->ctx, layers->path[i]);
        const bool better = store->place == NOWHERE || (store->place == EXPORTED_FILE && place == DIRECTORY);
        if (better && !layers->read_only[i]) {
            free(store->path);
            store->path = strdup(layers->path[i]);
            store->place = place;
        }
        status = store->path ? read_layer(store, layers->path[i], place, i == 0) : CVL_ENOMEM;
    }
    return status;
}

/* A forked child writes a segment of its own: its parent goes on with the first. */
static void begin_segment(struct cvl_store *store)
{
    cvl_segment_name(store->segment);
    store->process = getpid();
}

/* What was written stays where it is; lines from now on go to another segment. Without memory, to the same. */
static void begin_empty_segment(struct cvl_store *store)
{
    struct cvl_line_set *empty;
    if (cvl_line_set_create(&empty) != CVL_OK)
        return;
    cvl_line_set_destroy(store->own);
    store->own = empty;
    begin_segment(store);
}

cvl_status cvl_store_open(const cvl_ctx *ctx, const char *path, struct cvl_store **store)
{
    struct cvl_store *made = cvl_calloc(1, sizeof *made);
    struct cvl_layers layers = { .count = 0 };
    cvl_status status;
    *store = NULL;
    if (!made)
        return cvl_fail(CVL_ENOMEM, "no memory for a cache");
    made->ctx = ctx;
    made->path = strdup("");
    status = cvl_layers_of(path, &layers);
    if (status != CVL_OK)
        goto fail;
    status = cvl_line_set_create(&made->lines);
    if (status == CVL_OK)
        status = cvl_line_set_create(&made->own);
    if (status != CVL_OK)
        goto fail;
    begin_segment(made);
    status = read_layers(made, &layers);
    if (status != CVL_OK)
        goto fail;
    cvl_layers_free(&layers);
    *store = made;
    return CVL_OK;
fail:
    cvl_layers_free(&layers);
    cvl_store_close(made);
    return status;
}

void cvl_store_close(struct cvl_store *store)
{
    if (!store)
        return;
    const bool told = store->told;
    if (cvl_store_sync(store) != CVL_OK && !told)
        cvl_log(store->ctx, CVL_LOG_WARNING, "%s", cvl_last_error());
    if (store->wrote && cvl_segments_compact(store->path) != CVL_OK)
        cvl_log(store->ctx, CVL_LOG_WARNING, "the cache is not compacted: %s", cvl_last_error());
    cvl_line_set_destroy(store->own);
    cvl_line_set_destroy(store->lines);
    free(store->path);
    cvl_free(store);
}

const char *cvl_store_path(const struct cvl_store *store)
{
    return store->path;
}

const struct cvl_line_set *cvl_store_lines(const struct cvl_store *store)
{
    return store->lines;
}

cvl_status cvl_store_add(struct cvl_store *store, const char *line, size_t length)
{
    if (cvl_line_set_covers(store->lines, line, length))
        return CVL_OK;
    cvl_status status = cvl_line_set_add(store->own, line, length, NULL);
    if (status == CVL_OK)
        status = cvl_line_set_add(store->lines, line, length, NULL);
    if (status == CVL_OK)
        store->unsynced = store->place != NOWHERE;
    return status;
}

static cvl_status write_segment(struct cvl_store *store)
{
    cvl_status status = cvl_disk_make_directory(store->path);
    if (status != CVL_OK)
        return status;
    char *path = cvl_segment_path(store->path, store->segment);
    status = path ? cvl_line_set_write(store->own, path) : CVL_ENOMEM;
    free(path);
    return status;
}

static cvl_status sync_own(struct cvl_store *store)
{
    if (store->place == EXPORTED_FILE)
        return cvl_fail(CVL_EIO, "%s is an exported file and read-only", store->path);
    if (store->process != getpid())
        begin_segment(store);
    const cvl_status status = write_segment(store);
    if (status != CVL_OK)
        return status;
    store->unsynced = false;
    store->wrote = true;
    if (cvl_line_set_count(store->own) >= SEGMENT_LINES)
        begin_empty_segment(store);
    return CVL_OK;
}

cvl_status cvl_store_sync(struct cvl_store *store)
{
    const cvl_status status = store->unsynced ? sync_own(store) : CVL_OK;
    store->told = status != CVL_OK;
    return status;
}

cvl_status cvl_store_prune(struct cvl_store *store, cvl_line_fn *keep, void *arg)
{
    if (store->place == EXPORTED_FILE)
        return cvl_fail(CVL_EIO, "%s is an exported file and read-only: prune a cache and export that", store->path);
    const cvl_status status = cvl_store_sync(store);
    if (status != CVL_OK || store->place == NOWHERE || access(store->path, F_OK) != 0)
        return status;
    begin_empty_segment(store);
    return cvl_segments_prune(store->path, keep, arg);
}
