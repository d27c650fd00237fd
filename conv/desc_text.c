/* SPDX-License-Identifier: Apache-2.0
 * The text form of a problem: cvl_conv_parse_size and cvl_conv_print, exact inverses. Both walk the same tables: here
 * that of the four fields that always stand, in desc_options.c that of the others. */
#include "conv/desc.h"

#include "base/ctx.h"
#include "base/dtype.h"
#include "conv/desc_word.h"

#include <limits.h>
#include <string.h>

static const char *const pass_names[] = { "fwd", "bwd_data", "bwd_filter" };
static const char *const layout_names[] = { "nchw", "nhwc", "nchw16c" };
static const char *const filter_names[] = { "kcrs", "krsc", "rsck" };

/* The filter layout that goes without saying when both images have this layout. */
static const cvl_filter_layout usual_filter[] = { CVL_KCRS, CVL_KRSC, CVL_KCRS };

bool cvl_word_is(struct cvl_word word, const char *text)
{
    return word.length == strlen(text) && memcmp(word.at, text, word.length) == 0;
}

int cvl_word_find(struct cvl_word word, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (cvl_word_is(word, names[i]))
            return i;
    return -1;
}

int cvl_word_split(struct cvl_word word, char separator, struct cvl_word *parts, int max)
{
    for (int count = 0; count < max; count++) {
        const char *end = memchr(word.at, separator, word.length);
        parts[count] = (struct cvl_word){ word.at, end ? (size_t)(end - word.at) : word.length };
        if (!end)
            return count + 1;
        word = cvl_word_drop(word, parts[count].length + 1);
    }
    return max + 1;
}

bool cvl_word_int(struct cvl_word word, int *value)
{
    long long number;
    if (!cvl_text_int(word.at, word.length, 0, INT_MAX, &number))
        return false;
    *value = (int)number;
    return true;
}

static bool read_pass(struct cvl_word word, cvl_conv_desc *d)
{
    const int pass = cvl_word_find(word, pass_names, CVL_LENGTH(pass_names));
    d->pass = pass < 0 ? CVL_FWD : (cvl_pass)pass;
    return pass >= 0;
}

static void write_pass(const cvl_conv_desc *d, struct cvl_text *text)
{
    cvl_text_add(text, "%s", cvl_name_of(d->pass, pass_names, CVL_LENGTH(pass_names)));
}

static bool read_types(struct cvl_word word, cvl_conv_desc *d)
{
    struct cvl_word parts[3];
    cvl_dtype *const types[] = { &d->x_type, &d->w_type, &d->y_type };
    const int count = cvl_word_split(word, '-', parts, 3);
    if (count != 1 && count != 3)
        return false;
    for (int i = 0; i < 3; i++) {
        int type = CVL_F32;
        while (type <= CVL_S32 && !cvl_word_is(parts[count == 3 ? i : 0], cvl_dtype_name((cvl_dtype)type)))
            type++;
        if (type > CVL_S32)
            return false;
        *types[i] = (cvl_dtype)type;
    }
    return true;
}

static const char *type_name(cvl_dtype type)
{
    return type <= CVL_S32 ? cvl_dtype_name(type) : "?";
}

static void write_types(const cvl_conv_desc *d, struct cvl_text *text)
{
    cvl_text_add(text, "%s", type_name(d->x_type));
    if (d->w_type != d->x_type || d->y_type != d->x_type)
        cvl_text_add(text, "-%s-%s", type_name(d->w_type), type_name(d->y_type));
}

static bool read_layouts(struct cvl_word word, cvl_conv_desc *d)
{
    struct cvl_word parts[3];
    const int count = cvl_word_split(word, '-', parts, 3);
    if (count != 1 && count != 3)
        return false;
    const int x = cvl_word_find(parts[0], layout_names, CVL_LENGTH(layout_names));
    const int y = cvl_word_find(parts[count == 3 ? 1 : 0], layout_names, CVL_LENGTH(layout_names));
    if (x < 0 || y < 0)
        return false;
    const int w = count == 3 ? cvl_word_find(parts[2], filter_names, CVL_LENGTH(filter_names)) : (int)usual_filter[x];
    if (w < 0)
        return false;
    d->x_layout = (cvl_layout)x;
    d->y_layout = (cvl_layout)y;
    d->w_layout = (cvl_filter_layout)w;
    return true;
}

static void write_layouts(const cvl_conv_desc *d, struct cvl_text *text)
{
    cvl_text_add(text, "%s", cvl_name_of(d->x_layout, layout_names, CVL_LENGTH(layout_names)));
    if (d->y_layout != d->x_layout || d->x_layout > CVL_NCHW16C || d->w_layout != usual_filter[d->x_layout])
        cvl_text_add(text, "-%s-%s", cvl_name_of(d->y_layout, layout_names, CVL_LENGTH(layout_names)),
                     cvl_name_of(d->w_layout, filter_names, CVL_LENGTH(filter_names)));
}

static const struct { char letter; size_t offset; } sizes[] = {
    { 'n', offsetof(cvl_conv_desc, n) }, { 'c', offsetof(cvl_conv_desc, c) }, { 'h', offsetof(cvl_conv_desc, h) },
    { 'w', offsetof(cvl_conv_desc, w) }, { 'k', offsetof(cvl_conv_desc, k) }, { 'r', offsetof(cvl_conv_desc, r) },
    { 's', offsetof(cvl_conv_desc, s) },
};

static bool read_shape(struct cvl_word word, cvl_conv_desc *d)
{
    for (size_t i = 0; i < CVL_LENGTH(sizes); i++) {
        if (word.length == 0 || *word.at != sizes[i].letter)
            return false;
        word = cvl_word_drop(word, 1);
        size_t digits = 0;
        while (digits < word.length && word.at[digits] >= '0' && word.at[digits] <= '9')
            digits++;
        if (!cvl_word_int((struct cvl_word){ word.at, digits }, cvl_desc_int(d, sizes[i].offset)))
            return false;
        word = cvl_word_drop(word, digits);
    }
    return word.length == 0;
}

static void write_shape(const cvl_conv_desc *d, struct cvl_text *text)
{
    for (size_t i = 0; i < CVL_LENGTH(sizes); i++)
        cvl_text_add(text, "%c%d", sizes[i].letter, *cvl_desc_int(d, sizes[i].offset));
}

static const struct {
    const char *name, *expected;
    bool (*read)(struct cvl_word, cvl_conv_desc *);
    void (*write)(const cvl_conv_desc *, struct cvl_text *);
} fixed[] = {
    { "pass", "fwd, bwd_data or bwd_filter", read_pass, write_pass },
    { "types", "one of f32, bf16, f16, s8, u8, s32, or three (x-w-y) joined by -", read_types, write_types },
    { "layouts", "nchw, nhwc, or three (x-y-w) joined by - like nchw-nhwc-krsc, the third kcrs, krsc or rsck",
      read_layouts, write_layouts },
    { "shape", "n, c, h, w, k, r, s in this order, each with a number up to 2147483647, like n1c64h56w56k64r3s3",
      read_shape, write_shape },
};

static cvl_status read_text(const char *text, cvl_conv_desc *d)
{
    const struct cvl_desc_option *taken[CVL_DESC_PLACES] = { NULL };
    for (size_t i = 0; text; i++) {
        const struct cvl_word field = { text, strcspn(text, ":") };
        text = text[field.length] ? text + field.length + 1 : NULL;
        if (i >= CVL_LENGTH(fixed)) {
            const cvl_status status = cvl_desc_option_read(field, taken, d);
            if (status != CVL_OK)
                return status;
        } else if (!fixed[i].read(field, d)) {
            return cvl_fail(CVL_EINVAL, "field '%.*s' is not a valid %s, expected %s", CVL_QUOTED(field), fixed[i].name,
                            fixed[i].expected);
        } else if (!text && i + 1 < CVL_LENGTH(fixed)) {
            return cvl_fail(CVL_EINVAL, "field '%.*s' is the last, expected %s after it: %s", CVL_QUOTED(field),
                            fixed[i + 1].name, fixed[i + 1].expected);
        }
    }
    return CVL_OK;
}

/* A program that was compiled with an older header has a smaller struct: nothing that was said may get lost there. */
static cvl_status check_fits(const char *text, const cvl_conv_desc *d, size_t size)
{
    cvl_conv_desc cut = *d, seen;
    struct cvl_conv_key key, seen_key;
    cut.size = size;
    const cvl_status status = cvl_conv_desc_complete(&cut, &seen);
    if (status != CVL_OK)
        return status;
    cvl_conv_key_of(d, &key);
    cvl_conv_key_of(&seen, &seen_key);
    return cvl_conv_key_equal(&key, &seen_key) ? CVL_OK
        : cvl_fail(CVL_EUNSUP, "'%.200s' sets a field that a cvl_conv_desc of %zu bytes lacks, expected one of %zu",
                   text, size, sizeof *d);
}

cvl_status cvl_conv_parse_size(const char *text, cvl_conv_desc *desc, size_t size)
{
    cvl_conv_desc read, d;
    if (!text || !desc)
        return cvl_fail(CVL_EINVAL, "%s is NULL, expected a pointer", text ? "desc" : "text");
    cvl_conv_desc_init(&read);
    cvl_status status = read_text(text, &read);
    if (status == CVL_OK)
        status = cvl_conv_check(&read);
    if (status == CVL_OK)
        status = cvl_conv_desc_complete(&read, &d);
    if (status == CVL_OK)
        status = check_fits(text, &d, size);
    if (status == CVL_OK)
        cvl_copy_sized(desc, size, &d, sizeof d);
    return status;
}

int cvl_conv_print(const cvl_conv_desc *desc, char *text, size_t size)
{
    struct cvl_text out = { text, size, 0 };
    cvl_conv_desc d;
    if (size > 0)
        *text = '\0';
    if (cvl_conv_desc_complete(desc, &d) != CVL_OK)
        return 0;
    for (size_t i = 0; i < CVL_LENGTH(fixed); i++) {
        cvl_text_add(&out, "%s", i ? ":" : "");
        fixed[i].write(&d, &out);
    }
    cvl_desc_options_write(&d, &out);
    return (int)out.used;
}
