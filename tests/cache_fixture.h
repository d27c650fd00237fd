/* SPDX-License-Identifier: Apache-2.0
 * What the tests of cache files share: a folder of their own, files with given bytes, random records, and a context
 * that keeps what is logged. All of them end the test when they fail. */
#ifndef TESTS_CACHE_FIXTURE_H
#define TESTS_CACHE_FIXTURE_H

#include "base/ctx.h"
#include "base/random.h"
#include "tuner/line_set.h"

#define PATH_BYTES 512

struct bytes { char *at; size_t count; };

/* CVL_TEST_SEED, or a new one; printed. */
struct cvl_random fixture_random(void);

void fixture_folder(char path[PATH_BYTES]);                /* a new, empty one */
void fixture_remove(const char *path);                     /* with all that is in it */
const char *fixture_in(const char *folder, const char *name);   /* "folder/name", valid for the next eight calls */
int  fixture_count(const char *folder, const char *suffix);

void         fixture_write(const char *path, const void *bytes, size_t count);
struct bytes fixture_read(const char *path);               /* at: to be freed; ends with a NUL that is not counted */

struct cvl_line_set *fixture_set(void);                    /* an empty one */
struct bytes fixture_file_of(const struct cvl_line_set *set, const char *path);   /* writes it there and reads it */
void fixture_same_sets(const struct cvl_line_set *a, const struct cvl_line_set *b, const char *path);

/* Any values that a record can have, and few different keys and ranks, so that many records compete. */
struct cvl_record fixture_wild_record(struct cvl_random *random);
struct cvl_record fixture_rival_record(struct cvl_random *random);
/* "record", numbered; all of them differ in their keys. */
struct cvl_record fixture_numbered_record(int number);

/* A line with its checksum, from what stands before it. */
size_t fixture_seal(const char *text, char line[CVL_LINE_MAX]);

struct fixture_log { int count; char last[CVL_SENTENCE_MAX]; };
cvl_ctx *fixture_ctx(struct fixture_log *log);

#endif
