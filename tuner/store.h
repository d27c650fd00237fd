/* SPDX-License-Identifier: Apache-2.0
 * A cache at rest: a directory of segment files, one per writer, merged when read; or one exported file, read-only.
 * Writers never wait for each other and never lose each other's lines: each writes its own segment beside it, syncs,
 * and renames it into place. Reading meets a segment that another process compacted away by listing again. */
#ifndef TUNER_STORE_H
#define TUNER_STORE_H

#include "base/ctx.h"
#include "tuner/line_set.h"

struct cvl_store;

/* path as in cvl_tuner_options.cache_path, a list of layers (tuner/layers.h); "": nothing on disk. Missing or
 * damaged files are no failure: what is wrong with each goes to the ctx's log in one sentence. A directory is made
 * when the first line is stored. */
cvl_status  cvl_store_open(const cvl_ctx *ctx, const char *path, struct cvl_store **store);
/* Unsynced lines are written first; a directory of many segments is compacted. NULL is allowed. */
void        cvl_store_close(struct cvl_store *store);
const char *cvl_store_path(const struct cvl_store *store); /* of what is written; "" when nothing is kept on disk */

/* All lines: what was read and what was added. */
const struct cvl_line_set *cvl_store_lines(const struct cvl_store *store);

/* Adds to the lines in memory; cvl_store_sync makes what was added durable (own segment). CVL_EIO says which file and
 * why ("read-only", "No space left on device"), the lines stay in memory, and the next sync tries again. */
cvl_status  cvl_store_add(struct cvl_store *store, const char *line, size_t length);
cvl_status  cvl_store_sync(struct cvl_store *store);

/* Drops from the disk, not from cvl_store_lines, every line that keep refuses, and every damaged one: what is kept
 * becomes one segment, and the others go. CVL_EIO leaves all lines on disk; an exported file is refused. */
cvl_status  cvl_store_prune(struct cvl_store *store, cvl_line_fn *keep, void *arg);

#endif
