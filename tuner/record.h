/* SPDX-License-Identifier: Apache-2.0
 * One line of a cache file (docs/cache-format.md). The first line of a file is "convlab-cache 1"; every other is
 *     KIND KEY... NAME=VALUE... crc=XXXXXXXX
 * of KIND env (an environment), rec (one measured candidate), want (a problem that was asked for and is not tuned) or
 * rates (how fast an environment is).
 * The crc covers all bytes before " crc="; values are percent-escaped where they hold a space, '%' or a control
 * character; unknown names and kinds are kept and ignored, so that an older program loses nothing of a newer one's. */
#ifndef TUNER_RECORD_H
#define TUNER_RECORD_H

#include "base/machine.h"
#include "cvl/tuner.h"

#define CVL_CACHE_SCHEMA "convlab-cache 1"
#define CVL_LINE_MAX 2048   /* bytes of the longest line, the NUL that print adds included */

enum cvl_line_kind { CVL_LINE_ENV, CVL_LINE_REC, CVL_LINE_WANT, CVL_LINE_RATES, CVL_LINE_OTHER };

/* Where something was measured. The first five fields are matched and make the id; the others are only recorded. */
struct cvl_environment {
    char   cpu[64], isa[16];
    int    threads;
    char   gpu[64], cudnn[16];
    char   compiler[48], library[32], driver[32], host[32];   /* host: an alias, never a network name */
    size_t l1d, l2, l3;
    int    capability, multiprocessors;   /* of the GPU: 90 is compute capability 9.0 */
    size_t gpu_l2;
};

/* Numbers are printed with as many digits as they need to come back exactly: round a time to what is meant first. A
 * time or error that is not finite is stored as "inf". */
struct cvl_record {
    uint64_t    environment;              /* cvl_environment_id */
    cvl_state   state;
    char        problem[CVL_CONV_TEXT_MAX];
    char        candidate[CVL_CANDIDATE_MAX];
    cvl_outcome outcome;                  /* ok, wrong, eliminated or failed */
    int         revision, samples;
    int         runs;                     /* measurements that are pooled in it (tuner/pool.h); 0: one */
    double      median_ms, min_ms, ci_low_ms, ci_high_ms, estimate_ms, pack_ms;
    double      raw_ms;                   /* the algorithm's own, where estimate_ms is a corrected one; else 0 */
    uint64_t    race;                     /* equal: measured side by side; 0: not known */
    double      ratio_low, ratio_high;    /* 95 % interval of the time over that of the fastest of the race; 0: none */
    double      rel_error, l2_error;      /* negative: not measured */
    size_t      workspace_bytes, packed_bytes;
    bool        deterministic;
    int64_t     when;                     /* seconds since 1970, UTC */
    uint64_t    seed;
    char        command[192];             /* provenance */
};

/* To five digits: more than a clock can say, and readable in a diff. What is chosen from is what is stored. */
double cvl_record_round(double value);

uint64_t cvl_environment_id(const struct cvl_environment *environment);

/* A complete line without its newline; the length, or 0 when it cannot be one: it does not fit CVL_LINE_MAX, or a
 * problem or candidate is empty or holds a space, or a number is negative. */
size_t cvl_environment_print(const struct cvl_environment *environment, char line[CVL_LINE_MAX]);
size_t cvl_record_print(const struct cvl_record *record, char line[CVL_LINE_MAX]);
size_t cvl_want_print(uint64_t environment, cvl_state state, const char *problem, char line[CVL_LINE_MAX]);
size_t cvl_rates_print(uint64_t environment, const struct cvl_rates *rates, int64_t when, char line[CVL_LINE_MAX]);

/* CVL_ECORRUPT and why, when the checksum or the form of a field is wrong. *key is the length of the line's beginning
 * that names what it is about: two lines with equal beginnings compete in a merge. */
cvl_status cvl_line_check(const char *line, size_t length, enum cvl_line_kind *kind, size_t *key);

/* Which of two checked lines with the same key a merge keeps: negative, 0 or positive as a is less than, the same as or
 * greater than b by (revision, samples, time stamp, bytes); rates by (time stamp, bytes), other kinds by bytes
 * alone. */
int cvl_line_compare(const char *a, size_t a_length, const char *b, size_t b_length);

/* Of a line that cvl_line_check accepted. CVL_ECORRUPT and why, when it is of another kind or says something that this
 * version does not know, such as a newer outcome. */
cvl_status cvl_environment_parse(const char *line, size_t length, struct cvl_environment *environment, uint64_t *id);
cvl_status cvl_record_parse(const char *line, size_t length, struct cvl_record *record);
cvl_status cvl_want_parse(const char *line, size_t length, uint64_t *environment, cvl_state *state,
                          char problem[CVL_CONV_TEXT_MAX]);
/* What the line lacks stays in *rates as it was, nominal. */
cvl_status cvl_rates_parse(const char *line, size_t length, struct cvl_rates *rates, uint64_t *id);

#endif
