/* SPDX-License-Identifier: Apache-2.0
 * The optional fields of a problem's text form: one table, walked by both directions. */
#include "conv/desc_word.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const math_names[] = { "f32", "tf32", "bf16", "f16" };

struct cvl_desc_option {
    int         place;         /* below CVL_DESC_PLACES; taken once */
    const char *word;          /* what the field begins with, or all of it when no value follows */
    const char *value;         /* what follows the word, for messages; NULL: nothing does */
    bool      (*read)(const struct cvl_desc_option *, struct cvl_word value, cvl_conv_desc *);
    void      (*write)(const struct cvl_desc_option *, const cvl_conv_desc *, struct cvl_text *);
    size_t      offset[4];     /* of the numbers or of the flag that it sets */
    int         count, usual;  /* numbers: how many, and their default */
    cvl_act     act;
};

/* One number for all, or one a pair (H x W of T x B x L x R), or one each. */
static bool read_numbers(const struct cvl_desc_option *option, struct cvl_word value, cvl_conv_desc *d)
{
    struct cvl_word parts[4];
    const int given = cvl_word_split(value, 'x', parts, option->count);
    if (given > option->count || option->count % given != 0)
        return false;
    for (int i = 0; i < option->count; i++)
        if (!cvl_word_int(parts[i * given / option->count], cvl_desc_int(d, option->offset[i])))
            return false;
    return true;
}

static void write_numbers(const struct cvl_desc_option *option, const cvl_conv_desc *d, struct cvl_text *text)
{
    const int count = option->count;
    int numbers[4] = { 0 }, needed = 1, usual = 0;
    for (int i = 0; i < count; i++) {
        numbers[i] = *cvl_desc_int(d, option->offset[i]);
        usual += numbers[i] == option->usual;
    }
    if (usual == count)
        return;
    for (int i = 0; i < count; i++)
        while (numbers[i] != numbers[i * needed / count * (count / needed)])
            needed *= 2;
    cvl_text_add(text, ":%s", option->word);
    for (int i = 0; i < needed; i++)
        cvl_text_add(text, "%s%d", i ? "x" : "", numbers[i * (count / needed)]);
}

static bool read_math(const struct cvl_desc_option *option, struct cvl_word value, cvl_conv_desc *d)
{
    if (value.length == 0 || *value.at != '=')
        return false;
    const int math = cvl_word_find(cvl_word_drop(value, 1), math_names, CVL_LENGTH(math_names));
    d->math = math < 0 ? CVL_MATH_F32 : (cvl_math)math;
    return math >= 0;
}

static void write_math(const struct cvl_desc_option *option, const cvl_conv_desc *d, struct cvl_text *text)
{
    if (d->math != CVL_MATH_F32)
        cvl_text_add(text, ":%s=%s", option->word, cvl_name_of(d->math, math_names, CVL_LENGTH(math_names)));
}

static bool read_flag(const struct cvl_desc_option *option, struct cvl_word value, cvl_conv_desc *d)
{
    *((bool *)d + option->offset[0]) = true;
    return true;
}

static void write_flag(const struct cvl_desc_option *option, const cvl_conv_desc *d, struct cvl_text *text)
{
    if (*((const bool *)d + option->offset[0]))
        cvl_text_add(text, ":%s", option->word);
}

static bool read_act(const struct cvl_desc_option *option, struct cvl_word value, cvl_conv_desc *d)
{
    d->epi.act = option->act;
    return true;
}

static void write_act(const struct cvl_desc_option *option, const cvl_conv_desc *d, struct cvl_text *text)
{
    if (d->epi.act == option->act)
        cvl_text_add(text, ":%s", option->word);
}

static bool read_float(struct cvl_word word, float *value)
{
    double number;
    if (!cvl_text_double(word.at, word.length, &number))
        return false;
    *value = (float)number;
    return isfinite(*value);   /* not number <= FLT_MAX: 3.40282347e+38 is FLT_MAX, and a little more than it */
}

/* The fewest digits that read back as the same float: %g drops zeros at the end, so six are a fair start that spells
 * 20 as 20. What the locale puts for a point becomes one. */
static void write_float(float value, struct cvl_text *text)
{
    char number[32];
    float back = 0;
    for (int digits = 6; digits <= 9; digits++) {
        struct cvl_text out = { number, sizeof number, 0 };
        char local[32];
        snprintf(local, sizeof local, "%.*g", digits, value);
        for (const char *at = local; *at; ) {
            const size_t plain = strspn(at, "0123456789e+-"), point = strcspn(at + plain, "0123456789e+-");
            cvl_text_add(&out, "%.*s%s", (int)plain, at, point ? "." : "");
            at += plain + point;
        }
        if (read_float((struct cvl_word){ number, out.used }, &back) && back == value)
            break;
    }
    cvl_text_add(text, "%s", number);
}

static bool read_clip(const struct cvl_desc_option *option, struct cvl_word value, cvl_conv_desc *d)
{
    struct cvl_word parts[2];
    if (value.length == 0 || *value.at != '=' || cvl_word_split(cvl_word_drop(value, 1), '/', parts, 2) != 2)
        return false;
    d->epi.act = option->act;
    return read_float(parts[0], &d->epi.lo) && read_float(parts[1], &d->epi.hi);
}

static void write_clip(const struct cvl_desc_option *option, const cvl_conv_desc *d, struct cvl_text *text)
{
    if (d->epi.act != option->act)
        return;
    cvl_text_add(text, ":%s=", option->word);
    write_float(d->epi.lo, text);
    cvl_text_add(text, "/");
    write_float(d->epi.hi, text);
}

#define AT(field) offsetof(cvl_conv_desc, field)
#define NUMBER "one number up to 2147483647"
#define HW     NUMBER ", or HxW"
#define TBLR   NUMBER ", HxW or TxBxLxR"
#define NUMBERS(place, word, value, usual, count, ...) \
    { place, word, value, read_numbers, write_numbers, { __VA_ARGS__ }, count, usual, CVL_ACT_NONE }
#define FLAG(place, word, field) { place, word, NULL, read_flag, write_flag, { AT(field) }, 0, 0, CVL_ACT_NONE }
#define ACT(place, word, act) { place, word, NULL, read_act, write_act, { 0 }, 0, 0, act }

static const struct cvl_desc_option options[] = {
    NUMBERS(0, "stride", HW, 1, 2, AT(stride_h), AT(stride_w)),
    NUMBERS(1, "pad", TBLR, 0, 4, AT(pad_top), AT(pad_bottom), AT(pad_left), AT(pad_right)),
    NUMBERS(2, "dil", HW, 1, 2, AT(dil_h), AT(dil_w)),
    NUMBERS(3, "g", NUMBER, 1, 1, AT(groups)),
    { 4, "math", "=f32, =tf32, =bf16 or =f16", read_math, write_math, { 0 }, 0, 0, CVL_ACT_NONE },
    FLAG(5, "bias", epi.bias),
    FLAG(6, "residual", epi.residual),
    ACT(7, "relu", CVL_ACT_RELU),
    ACT(7, "relu6", CVL_ACT_RELU6),
    { 7, "clip", "=LO/HI, two finite numbers", read_clip, write_clip, { 0 }, 0, 0, CVL_ACT_CLIP },
    ACT(7, "silu", CVL_ACT_SILU),
    ACT(7, "hardswish", CVL_ACT_HARDSWISH),
    ACT(7, "gelu", CVL_ACT_GELU),
    FLAG(8, "xzero", quant.x_zero),
    FLAG(9, "wzero", quant.w_zero),
    FLAG(10, "yzero", quant.y_zero),
    FLAG(11, "perchannel", quant.per_channel),
    FLAG(12, "const", const_filter),
};

/* The option that a field is meant to be: its word, with anything but a letter after it where a value follows. */
static const struct cvl_desc_option *find_option(struct cvl_word field)
{
    for (size_t i = 0; i < CVL_LENGTH(options); i++) {
        const struct cvl_desc_option *option = &options[i];
        const size_t length = strlen(option->word);
        if (!option->value ? cvl_word_is(field, option->word)
                           : field.length >= length && memcmp(field.at, option->word, length) == 0 &&
                             (field.length == length || field.at[length] < 'a' || field.at[length] > 'z'))
            return option;
    }
    return NULL;
}

cvl_status cvl_desc_option_read(struct cvl_word field, const struct cvl_desc_option *taken[CVL_DESC_PLACES],
                                cvl_conv_desc *d)
{
    const struct cvl_desc_option *option = find_option(field);
    if (!option && field.length == 0)
        return cvl_fail(CVL_EINVAL, "a field is empty, expected none or one like pad1 or relu");
    if (!option)
        return cvl_fail(CVL_EINVAL, "field '%.*s' is unknown, expected stride, pad, dil, g, math=, bias, residual, "
                        "relu, relu6, clip=, silu, hardswish, gelu, xzero, wzero, yzero, perchannel or const",
                        CVL_QUOTED(field));
    if (taken[option->place])
        return cvl_fail(CVL_EINVAL, "field '%.*s' follows '%s', expected only one of the two", CVL_QUOTED(field),
                        taken[option->place]->word);
    if (!option->read(option, cvl_word_drop(field, strlen(option->word)), d))
        return cvl_fail(CVL_EINVAL, "field '%.*s' is malformed, expected %s followed by %s", CVL_QUOTED(field),
                        option->word, option->value);
    taken[option->place] = option;
    return CVL_OK;
}

void cvl_desc_options_write(const cvl_conv_desc *d, struct cvl_text *text)
{
    for (size_t i = 0; i < CVL_LENGTH(options); i++)
        options[i].write(&options[i], d, text);
}
