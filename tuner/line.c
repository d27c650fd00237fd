/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/line.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include "base/hash.h"

#define ID_LENGTH 16
#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

/* What decides between two records with the same key; rates have a time stamp alone. */
struct rank { int revision, samples; int64_t when; };
static const struct cvl_field rank_fields[] = {
    { "rev", CVL_FIELD_NATURAL, CVL_FIELD_OF(struct rank, revision), .limit = INT_MAX },
    { "n", CVL_FIELD_NATURAL, CVL_FIELD_OF(struct rank, samples), .limit = INT_MAX },
    { "when", CVL_FIELD_NATURAL, CVL_FIELD_OF(struct rank, when), .limit = INT64_MAX },
};

static const struct cvl_line_shape shapes[] = {
    [CVL_LINE_ENV] = { "env", 1, cvl_environment_fields, CVL_ENVIRONMENT_FIELDS, "env ID" },
    [CVL_LINE_REC] = { "rec", 4, cvl_record_fields, CVL_RECORD_FIELDS, "rec ID STATE PROBLEM CANDIDATE" },
    [CVL_LINE_WANT] = { "want", 3, NULL, 0, "want ID STATE PROBLEM" },
    [CVL_LINE_RATES] = { "rates", 1, cvl_rates_fields, CVL_RATES_FIELDS, "rates ID" },
};

static struct cvl_span next_word(const char *at, const char *end)
{
    const char *space = memchr(at, ' ', (size_t)(end - at));
    return (struct cvl_span){ at, (size_t)((space ? space : end) - at) };
}

static bool read_hex(const char *text, int digits, uint64_t *value)
{
    uint64_t sum = 0;
    for (int i = 0; i < digits; i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        sum = sum << 4 | (uint64_t)digit;
    }
    *value = sum;
    return true;
}

cvl_status cvl_line_dissect(const char *line, size_t length, struct cvl_line_parts *parts)
{
    const char *const end = line + length - CVL_LINE_CRC;
    const struct cvl_span word = next_word(line, end);
    *parts = (struct cvl_line_parts){ .about = { line, (size_t)(end - line) }, .fields = { end, 0 } };
    for (int i = 0; i < COUNT(shapes); i++)
        if (strlen(shapes[i].word) == word.length && memcmp(shapes[i].word, line, word.length) == 0)
            parts->shape = &shapes[i];
    if (!parts->shape)
        return word.length > 0 ? CVL_OK : cvl_fail(CVL_ECORRUPT, "the line has no kind");

    const char *at = line + word.length;
    for (int i = 0; i < parts->shape->keys; i++) {
        parts->key[i] = at < end ? next_word(at + 1, end) : (struct cvl_span){ end, 0 };
        at = parts->key[i].at + parts->key[i].length;
        if (parts->key[i].length == 0)
            return cvl_fail(CVL_ECORRUPT, "the line is cut short, expected %s", parts->shape->form);
    }
    if (parts->key[0].length != ID_LENGTH || !read_hex(parts->key[0].at, ID_LENGTH, &parts->id))
        return cvl_fail(CVL_ECORRUPT, "the environment is '%.*s', expected %d hexadecimal digits",
                        (int)(parts->key[0].length < 40 ? parts->key[0].length : 40), parts->key[0].at, ID_LENGTH);
    parts->about.length = (size_t)(at - line);
    parts->fields = (struct cvl_span){ at, (size_t)(end - at) };
    return CVL_OK;
}

static enum cvl_line_kind kind_of(const struct cvl_line_parts *parts)
{
    return parts->shape ? (enum cvl_line_kind)(parts->shape - shapes) : CVL_LINE_OTHER;
}

static bool has_control(const char *line, size_t length)
{
    unsigned found = 0;
    for (size_t i = 0; i < length; i++)
        found |= (unsigned char)line[i] < ' ';
    return found;
}

cvl_status cvl_line_check(const char *line, size_t length, enum cvl_line_kind *kind, size_t *key)
{
    struct cvl_line_parts parts;
    uint64_t stated;
    if (length >= CVL_LINE_MAX)
        return cvl_fail(CVL_ECORRUPT, "it is %zu bytes long, expected at most %d", length, CVL_LINE_MAX - 1);
    if (length <= CVL_LINE_CRC || memcmp(line + length - CVL_LINE_CRC, " crc=", 5) != 0 ||
        !read_hex(line + length - 8, 8, &stated))
        return cvl_fail(CVL_ECORRUPT, "it does not end with a checksum, crc= and eight hexadecimal digits");
    const uint32_t crc = cvl_crc32(line, length - CVL_LINE_CRC);
    if (stated != crc)
        return cvl_fail(CVL_ECORRUPT, "checksum is %08" PRIx64 ", expected %08" PRIx32, stated, crc);
    if (has_control(line, length))
        return cvl_fail(CVL_ECORRUPT, "it holds a control character");
    const cvl_status status = cvl_line_dissect(line, length, &parts);
    if (status != CVL_OK)
        return status;
    *kind = kind_of(&parts);
    *key = parts.about.length;
    return parts.shape ? cvl_fields_read(parts.shape->fields, parts.shape->field_count, parts.fields.at,
                                         parts.fields.length, NULL)
                       : CVL_OK;
}

static struct rank rank_of(const char *line, size_t length)
{
    struct cvl_line_parts parts;
    struct rank rank = { 0, 0, 0 };
    if (cvl_line_dissect(line, length, &parts) != CVL_OK)
        return rank;
    if (kind_of(&parts) == CVL_LINE_REC || kind_of(&parts) == CVL_LINE_RATES)
        cvl_fields_read(rank_fields, COUNT(rank_fields), parts.fields.at, parts.fields.length, &rank);
    return rank;
}

int cvl_line_compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
    const int bytes = memcmp(a, b, a_length < b_length ? a_length : b_length);
    const int order = bytes ? bytes : (a_length > b_length) - (a_length < b_length);
    if (order == 0)
        return 0;
    const struct rank x = rank_of(a, a_length), y = rank_of(b, b_length);
    if (x.revision != y.revision)
        return x.revision < y.revision ? -1 : 1;
    if (x.samples != y.samples)
        return x.samples < y.samples ? -1 : 1;
    if (x.when != y.when)
        return x.when < y.when ? -1 : 1;
    return order;
}

size_t cvl_line_seal(struct cvl_text *text, bool right)
{
    enum cvl_line_kind kind;
    size_t key;
    if (!right || text->used >= text->size)
        return 0;
    cvl_text_add(text, " crc=%08" PRIx32, cvl_crc32(text->at, text->used));
    if (text->used >= text->size || cvl_line_check(text->at, text->used, &kind, &key) != CVL_OK)
        return 0;
    return text->used;
}

cvl_status cvl_line_expect(const char *line, size_t length, enum cvl_line_kind kind, struct cvl_line_parts *parts)
{
    const cvl_status status = length > CVL_LINE_CRC ? cvl_line_dissect(line, length, parts)
                                                  : cvl_fail(CVL_ECORRUPT, "the line is cut short");
    if (status == CVL_OK && kind_of(parts) != kind)
        return cvl_fail(CVL_ECORRUPT, "the line is not of the kind %s", shapes[kind].word);
    return status;
}
