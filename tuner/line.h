/* SPDX-License-Identifier: Apache-2.0
 * A line without its checksum, taken apart: kind, words that say what it is about, and the fields after them. */
#ifndef TUNER_LINE_H
#define TUNER_LINE_H

#include "tuner/fields.h"
#include "tuner/record.h"

#define CVL_LINE_CRC 13             /* bytes: " crc=" and eight digits */
#define CVL_LINE_KEYS_MAX 4
#define CVL_ENVIRONMENT_MATCHED 5   /* fields that make the id, the first of the table */
#define CVL_ENVIRONMENT_FIELDS 15
#define CVL_RECORD_FIELDS 22
#define CVL_RATES_FIELDS 5
extern const struct cvl_field cvl_environment_fields[CVL_ENVIRONMENT_FIELDS], cvl_record_fields[CVL_RECORD_FIELDS],
    cvl_rates_fields[CVL_RATES_FIELDS];

struct cvl_line_shape {
    const char             *word;
    int                     keys;      /* words after the kind that say what the line is about; the first is an id */
    const struct cvl_field *fields;
    int                     field_count;
    const char             *form;
};

/* A kind that this version lacks is all key: no two of its lines compete. */
struct cvl_span { const char *at; size_t length; };
struct cvl_line_parts {
    const struct cvl_line_shape *shape;   /* NULL: of another kind */
    struct cvl_span              key[CVL_LINE_KEYS_MAX];
    uint64_t                     id;
    struct cvl_span              about, fields;
};

/* Takes a line apart that ends with a checksum, which is not looked at. CVL_ECORRUPT. */
cvl_status cvl_line_dissect(const char *line, size_t length, struct cvl_line_parts *parts);
/* The same, for a line that must be of one kind. */
cvl_status cvl_line_expect(const char *line, size_t length, enum cvl_line_kind kind, struct cvl_line_parts *parts);

/* Ends the line with its checksum; its length, or 0 when it does not fit or something in it was wrong. */
size_t cvl_line_seal(struct cvl_text *text, bool right);

#endif
