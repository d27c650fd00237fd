/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/fields.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cvl/tuner.h"

#define REAL_MAX 48     /* bytes of the longest number */
#define QUOTED_MAX 40   /* bytes of a bad value that a message repeats */

static uint64_t load_natural(const struct cvl_field *field, const void *at)
{
    return field->size == 1 ? *(const uint8_t *)at : field->size == 4 ? *(const uint32_t *)at : *(const uint64_t *)at;
}

static void store_natural(const struct cvl_field *field, void *at, uint64_t value)
{
    if (field->size == 1)
        *(bool *)at = value != 0;
    else if (field->size == 4)
        *(uint32_t *)at = (uint32_t)value;
    else
        *(uint64_t *)at = value;
}

static bool absent_natural(const struct cvl_field *field, const void *at) { return load_natural(field, at) == 0; }
static bool absent_real(const struct cvl_field *field, const void *at) { return *(const double *)at == 0; }
static bool absent_error(const struct cvl_field *field, const void *at) { return *(const double *)at < 0; }
static bool absent_text(const struct cvl_field *field, const void *at) { return *(const char *)at == '\0'; }
static bool absent_never(const struct cvl_field *field, const void *at) { return false; }

static bool print_natural(const struct cvl_field *field, const void *at, struct cvl_text *text)
{
    const uint64_t value = load_natural(field, at);
    cvl_text_add(text, "%" PRIu64, value);
    return value <= field->limit;
}

/* The fewest digits that come back as the same number, with a point whatever the locale's is. */
static bool print_real(const struct cvl_field *field, const void *at, struct cvl_text *text)
{
    const double value = *(const double *)at;
    char digits[REAL_MAX];
    if (!isfinite(value)) {
        cvl_text_add(text, "inf");
        return true;
    }
    for (int precision = 6; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    const size_t whole = strspn(digits, "+-0123456789e");
    const char *rest = digits + whole;
    while (*rest && !strchr("0123456789", *rest))
        rest++;
    cvl_text_add(text, "%.*s%s%s", (int)whole, digits, *rest ? "." : "", rest);
    return true;
}

static bool print_text(const struct cvl_field *field, const void *at, struct cvl_text *text)
{
    for (const unsigned char *byte = at; *byte; byte++)
        cvl_text_add(text, *byte <= ' ' || *byte == '%' || *byte == 0x7f ? "%%%02x" : "%c", *byte);
    return true;
}

static bool print_outcome(const struct cvl_field *field, const void *at, struct cvl_text *text)
{
    cvl_text_add(text, "%s", cvl_outcome_name(*(const cvl_outcome *)at));
    return true;
}

static bool read_natural(const struct cvl_field *field, const char *text, size_t length, void *at)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++)
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text[i] - '0', &value))
            return false;
    if (length == 0 || value > field->limit)
        return false;
    if (at)
        store_natural(field, at, value);
    return true;
}

static size_t skip_digits(const char *text, size_t length, size_t i)
{
    while (i < length && text[i] >= '0' && text[i] <= '9')
        i++;
    return i;
}

/* [-]DIGITS[.DIGITS][e[+|-]DIGITS]. Its form is all that is looked at in the 100,000 lines of a load; the value is
 * worked out for the few that are asked for. */
static bool is_real(const char *text, size_t length)
{
    const size_t start = length > 0 && text[0] == '-';
    size_t i = skip_digits(text, length, start);
    if (i == start || length >= REAL_MAX)
        return false;
    if (i < length && text[i] == '.') {
        const size_t fraction = i + 1;
        i = skip_digits(text, length, fraction);
        if (i == fraction)
            return false;
    }
    if (i < length && text[i] == 'e') {
        const size_t sign = i + 1 < length && (text[i + 1] == '-' || text[i + 1] == '+');
        const size_t exponent = i + 1 + sign;
        i = skip_digits(text, length, exponent);
        if (i == exponent)
            return false;
    }
    return i == length;
}

static bool read_real(const struct cvl_field *field, const char *text, size_t length, void *at)
{
    double *const value = at;
    if (length == 3 && memcmp(text, "inf", 3) == 0) {
        if (value)
            *value = INFINITY;
        return true;
    }
    return is_real(text, length) && (!value || cvl_text_double(text, length, value));
}

static bool read_error(const struct cvl_field *field, const char *text, size_t length, void *at)
{
    return length > 0 && text[0] != '-' && read_real(field, text, length, at);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_text(const struct cvl_field *field, const char *text, size_t length, void *at)
{
    char *const to = at;
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%') {
            const int high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
            const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            if (low < 0 || high * 16 + low == 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (to && used + 1 < field->size)
            to[used++] = c;
    }
    if (to)
        to[used] = '\0';
    return true;
}

/* A word that this version lacks has the right form: another version knows it. */
static bool read_outcome(const struct cvl_field *field, const char *text, size_t length, void *at)
{
    for (cvl_outcome outcome = CVL_OUTCOME_OK; at && outcome <= CVL_OUTCOME_FAILED; outcome++) {
        const char *name = cvl_outcome_name(outcome);
        if (strlen(name) == length && memcmp(name, text, length) == 0) {
            *(cvl_outcome *)at = outcome;
            return true;
        }
    }
    return !at && length > 0;
}

static const struct codec {
    bool (*absent)(const struct cvl_field *field, const void *at);
    bool (*print)(const struct cvl_field *field, const void *at, struct cvl_text *text);
    bool (*read)(const struct cvl_field *field, const char *text, size_t length, void *at);   /* NULL at: only checks */
    const char *expected;
} codecs[] = {
    [CVL_FIELD_NATURAL] = { absent_natural, print_natural, read_natural, "a whole number within its range" },
    [CVL_FIELD_REAL] = { absent_real, print_real, read_real, "a number" },
    [CVL_FIELD_ERROR] = { absent_error, print_real, read_error, "a number of at least 0" },
    [CVL_FIELD_TEXT] = { absent_text, print_text, read_text, "text with %XX escapes" },
    [CVL_FIELD_OUTCOME] = { absent_never, print_outcome, read_outcome, "an outcome that this version knows" },
};

bool cvl_fields_print(const struct cvl_field *fields, int count, const void *from, struct cvl_text *text)
{
    bool right = true;
    for (const struct cvl_field *field = fields; field < fields + count; field++) {
        const struct codec *codec = &codecs[field->kind];
        const void *at = (const char *)from + field->offset;
        if (!field->always && codec->absent(field, at))
            continue;
        cvl_text_add(text, " %s=", field->name);
        right &= codec->print(field, at, text);
    }
    return right;
}

static bool is_name(const char *name, const char *text, size_t length)
{
    size_t i = 0;
    while (i < length && name[i] == text[i] && name[i])
        i++;
    return i == length && name[i] == '\0';
}

/* Fields nearly always come in the table's order: the search begins behind the last one found. */
static int find(const struct cvl_field *fields, int count, int from, const char *name, size_t length)
{
    for (int i = 0; i < count; i++) {
        const int index = from + i < count ? from + i : from + i - count;
        if (is_name(fields[index].name, name, length))
            return index;
    }
    return -1;
}

static cvl_status bad_token(const char *token, size_t length)
{
    const int shown = length < QUOTED_MAX ? (int)length : QUOTED_MAX;
    return cvl_fail(CVL_ECORRUPT, "'%.*s' is not NAME=VALUE", shown, token);
}

cvl_status cvl_fields_read(const struct cvl_field *fields, int count, const char *text, size_t length, void *to)
{
    const char *const end = text + length;
    uint64_t seen = 0;
    int next = 0;
    while (text < end) {
        const char *const token = text + 1;
        const char *equals = token, *token_end;
        while (equals < end && *equals != '=' && *equals != ' ')
            equals++;
        for (token_end = equals; token_end < end && *token_end != ' ';)
            token_end++;
        if (*text != ' ' || equals == token || equals == token_end)
            return bad_token(token, (size_t)(token_end - token));
        text = token_end;
        const int index = find(fields, count, next, token, (size_t)(equals - token));
        if (index < 0)
            continue;
        const struct cvl_field *field = &fields[index];
        const size_t value_length = (size_t)(token_end - equals - 1);
        if (seen >> index & 1)
            return cvl_fail(CVL_ECORRUPT, "%s is given twice", field->name);
        if (!codecs[field->kind].read(field, equals + 1, value_length, to ? (char *)to + field->offset : NULL))
            return cvl_fail(CVL_ECORRUPT, "%s is '%.*s', expected %s", field->name,
                            value_length < QUOTED_MAX ? (int)value_length : QUOTED_MAX, equals + 1,
                            codecs[field->kind].expected);
        seen |= (uint64_t)1 << index;
        next = index + 1;
    }
    return CVL_OK;
}
