/* SPDX-License-Identifier: Apache-2.0
 * The NAME=VALUE part of a cache line, from and to a struct, by a table that names its members. A value equal to what
 * an absent name means is left out. */
#ifndef TUNER_FIELDS_H
#define TUNER_FIELDS_H

#include "base/text.h"

enum cvl_field_kind {
    CVL_FIELD_NATURAL,   /* bool, int, size_t, int64_t or uint64_t from 0 to limit; absent: 0 */
    CVL_FIELD_REAL,      /* double; absent: 0; "inf" for all that is not finite */
    CVL_FIELD_ERROR,     /* double, not negative; absent: -1 */
    CVL_FIELD_TEXT,      /* char[size], percent-escaped, cut when longer; absent: empty */
    CVL_FIELD_OUTCOME    /* cvl_outcome as a word; never left out */
};

struct cvl_field {
    const char         *name;
    enum cvl_field_kind kind;
    size_t              offset, size;
    uint64_t            limit;
    bool                always;   /* printed even when it is 0 */
};

#define CVL_FIELD_OF(type, member) .offset = offsetof(type, member), .size = sizeof ((type *)0)->member

/* Appends " NAME=VALUE" for the first `count` fields; false when a number is negative or beyond its limit. */
bool cvl_fields_print(const struct cvl_field *fields, int count, const void *from, struct cvl_text *text);

/* Reads " NAME=VALUE..." into `to`, whose absent members keep what they are; NULL: only checks the form. Names that the
 * table lacks are passed over. CVL_ECORRUPT. */
cvl_status cvl_fields_read(const struct cvl_field *fields, int count, const char *text, size_t length, void *to);

#endif
