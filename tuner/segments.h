/* SPDX-License-Identifier: Apache-2.0
 * The segment files of a cache directory: reading all of them while others write, and making few of many. */
#ifndef TUNER_SEGMENTS_H
#define TUNER_SEGMENTS_H

#include "base/ctx.h"
#include "tuner/disk.h"
#include "tuner/line_set.h"

#define CVL_SEGMENT_NAME 64
#define CVL_SEGMENTS_FEW 16   /* a writer that leaves more of them behind compacts them */

/* A name that no other writer has: ALIAS-PID-TIME-RANDOM.cvl, all but the process number in hexadecimal digits. */
void  cvl_segment_name(char name[CVL_SEGMENT_NAME]);
bool  cvl_segment_named(const char *name);   /* has it that form? Files that a person named are read and not moved. */
char *cvl_segment_path(const char *directory, const char *name);   /* to be freed; NULL: no memory, and the message */

/* Adds the lines of every *.cvl. What is wrong with a file goes to the ctx's log (NULL: nowhere). sound (NULL: not
 * asked) gets the names of those in which nothing is; `damaged`, those with bad lines but of a schema that we know. */
cvl_status cvl_segments_read(const cvl_ctx *ctx, const char *directory, struct cvl_line_set *set,
                             struct cvl_names *sound, struct cvl_names *damaged);

/* Both in tuner/compact.c. Merges the sound segments that convlab itself named when they are more than
 * CVL_SEGMENTS_FEW. */
cvl_status cvl_segments_compact(const char *directory);

/* Replaces all segments, except those of a newer schema, by one with the lines that keep allows. */
cvl_status cvl_segments_prune(const char *directory, cvl_line_fn *keep, void *arg);

#endif
