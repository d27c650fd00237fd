/* SPDX-License-Identifier: Apache-2.0
 * A set of cache lines, one per (kind, environment, state, problem, candidate): the union that `merge` computes. Of two
 * lines with the same key the one with the greatest (revision, samples, time stamp, bytes) stays, so that adding is
 * associative, commutative and idempotent. Not thread-safe. */
#ifndef TUNER_LINE_SET_H
#define TUNER_LINE_SET_H

#include "base/error.h"
#include "tuner/record.h"

struct cvl_line_set;

cvl_status cvl_line_set_create(struct cvl_line_set **set);
void       cvl_line_set_destroy(struct cvl_line_set *set);   /* NULL is allowed */
int        cvl_line_set_count(const struct cvl_line_set *set);

/* Line without newline, copied. CVL_ECORRUPT and CVL_ENOMEM leave the set as it was. *changed (may be NULL): it is new
 * or won. */
cvl_status cvl_line_set_add(struct cvl_line_set *set, const char *line, size_t length, bool *changed);

/* Adds all lines of another set. */
cvl_status cvl_line_set_merge(struct cvl_line_set *set, const struct cvl_line_set *other);

/* Does adding this line change nothing? */
bool cvl_line_set_covers(const struct cvl_line_set *set, const char *line, size_t length);

/* Calls fn for every line, sorted by bytes when `sorted`, until it returns false. CVL_ENOMEM, only when sorted. */
typedef bool cvl_line_fn(void *arg, enum cvl_line_kind kind, const char *line, size_t length);
cvl_status cvl_line_set_each(const struct cvl_line_set *set, bool sorted, cvl_line_fn *fn, void *arg);

/* The records of one problem and state, of every environment, sorted by bytes: the first max of them at lines (valid
 * as long as the set), the number that exists returned. */
struct cvl_line { const char *text; size_t length; };
int cvl_line_set_records(const struct cvl_line_set *set, cvl_state state, const char *problem,
                         struct cvl_line *lines, int max);
/* An environment's own line, and how fast it is. False: not there. */
bool cvl_line_set_environment(const struct cvl_line_set *set, uint64_t id, struct cvl_environment *environment);
bool cvl_line_set_rates(const struct cvl_line_set *set, uint64_t id, struct cvl_rates *rates);

/* What reading a file came to; bad lines were misses. */
struct cvl_read_report {
    int  lines, bad;                 /* the schema line and empty lines are not counted */
    bool missing;                    /* with CVL_EIO: there is no such file */
    bool has_schema, newer_schema;
    char why[CVL_SENTENCE_MAX];      /* one sentence that names the file, or empty when nothing is wrong with it */
};

#define CVL_CACHE_FILE_MAX ((size_t)1 << 30)   /* bytes: nothing behind them is read */

/* Adds a file's lines (tuner/line_file.c). CVL_EIO: unreadable. Bad lines are no failure: see the report. A missing or
 * unknown schema line, a truncated last line, CR LF, a byte-order mark and empty lines are survived. */
cvl_status cvl_line_set_read(struct cvl_line_set *set, const char *path, struct cvl_read_report *report);

/* The set as a file: schema line, then lines sorted by bytes. Written beside it, synced, renamed into place, directory
 * synced: there is always the old or the new file. CVL_EIO. */
cvl_status cvl_line_set_write(const struct cvl_line_set *set, const char *path);

#endif
