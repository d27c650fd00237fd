/* SPDX-License-Identifier: Apache-2.0
 * A problem is drawn from one of the families below, each a box of sizes around one kind of trouble, and then gets a
 * pass, layouts, types and an epilogue, all independent of each other. */
#include "random_problem.h"

#include <stdbool.h>

struct range { int low, high; };

/* c and k are those of one group; in half of the problems they and w are rounded up to multiples of 16, in the other
 * half they are none. pad is drawn for each of the four sides, stride, dil and filter for each of the two axes. */
struct family {
    const char  *trouble;
    int          weight;
    struct range n, c, k, h, w, filter, stride, dil, pad, groups;
};

static const struct family families[] = {
    { "usual",               24, {1,3},  {1,40},    {1,40},   {1,18}, {1,34},    {1,5}, {1,2}, {1,1}, {0,2}, {1,1} },
    { "3x3 of a network",    10, {1,2},  {1,48},    {1,48},   {3,16}, {3,16},    {3,3}, {1,2}, {1,1}, {1,1}, {1,1} },
    { "1x1",                 12, {1,3},  {1,96},    {1,96},   {1,14}, {1,14},    {1,1}, {1,1}, {1,1}, {0,0}, {1,1} },
    { "1x1 strided",          4, {1,3},  {1,64},    {1,64},   {1,15}, {1,15},    {1,1}, {1,3}, {1,1}, {0,1}, {1,1} },
    { "one pixel",            5, {1,4},  {1,90},    {1,90},   {1,1},  {1,1},     {1,3}, {1,2}, {1,1}, {0,2}, {1,1} },
    { "pad over filter",      6, {1,2},  {1,12},    {1,24},   {1,9},  {1,17},    {1,3}, {1,3}, {1,2}, {3,9}, {1,1} },
    { "stride over filter",   6, {1,2},  {1,24},    {1,24},   {4,24}, {4,40},    {1,2}, {3,7}, {1,1}, {0,2}, {1,1} },
    { "dilated",              7, {1,2},  {1,24},    {1,24},   {4,18}, {4,33},    {2,4}, {1,2}, {2,5}, {0,5}, {1,1} },
    { "grouped",              8, {1,2},  {1,9},     {1,9},    {1,14}, {1,20},    {1,4}, {1,2}, {1,2}, {0,2}, {2,6} },
    { "depthwise",            9, {1,2},  {1,1},     {1,3},    {1,18}, {1,34},    {1,5}, {1,2}, {1,2}, {0,2}, {2,70} },
    { "empty batch",          2, {0,0},  {1,20},    {1,20},   {1,9},  {1,9},     {1,3}, {1,2}, {1,1}, {0,1}, {1,3} },
    { "image under filter",   5, {1,2},  {1,20},    {1,20},   {1,3},  {1,4},     {4,7}, {1,2}, {1,1}, {2,5}, {1,1} },
    { "long reduction",       5, {1,1},  {200,600}, {1,20},   {1,6},  {1,8},     {1,3}, {1,1}, {1,1}, {0,1}, {1,1} },
    { "filters over pixels",  5, {1,2},  {30,120},  {64,200}, {2,7},  {2,7},     {1,3}, {1,2}, {1,1}, {0,1}, {1,1} },
    { "large batch",          4, {4,40}, {1,8},     {1,8},    {1,8},  {1,9},     {1,3}, {1,2}, {1,1}, {0,1}, {1,2} },
    { "wide",                 5, {1,1},  {1,5},     {1,8},    {1,4},  {150,400}, {1,5}, {1,3}, {1,2}, {0,3}, {1,1} },
};

static bool chance(struct cvl_random *random, int percent)
{
    return cvl_random_below(random, 100) < percent;
}

static int draw(struct cvl_random *random, struct range range)
{
    return range.low + cvl_random_below(random, range.high - range.low + 1);
}

static int draw_16(struct cvl_random *random, struct range range, bool multiple)
{
    const int value = draw(random, range);
    return multiple ? (value + 15) / 16 * 16 : value % 16 == 0 ? value + 1 : value;
}

static const struct family *draw_family(struct cvl_random *random)
{
    int total = 0;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        total += families[i].weight;
    int at = cvl_random_below(random, total);
    const struct family *family = families;
    while (at >= family->weight)
        at -= family++->weight;
    return family;
}

static void draw_shape(struct cvl_random *random, const struct family *family, cvl_conv_desc *d)
{
    const bool multiple = chance(random, 50), depthwise = family->c.high == 1;
    d->groups = depthwise ? draw_16(random, family->groups, multiple) : draw(random, family->groups);
    d->n = draw(random, family->n);
    d->c = d->groups * (depthwise ? 1 : draw_16(random, family->c, multiple));
    d->k = d->groups * (depthwise ? draw(random, family->k) : draw_16(random, family->k, multiple));
    d->h = draw(random, family->h);
    d->w = family->w.high == 1 ? 1 : draw_16(random, family->w, multiple);
    d->r = draw(random, family->filter);
    d->s = chance(random, 60) && family->filter.low != 1 ? d->r : draw(random, family->filter);
    d->stride_h = draw(random, family->stride);
    d->stride_w = chance(random, 70) ? d->stride_h : draw(random, family->stride);
    d->dil_h = draw(random, family->dil);
    d->dil_w = chance(random, 70) ? d->dil_h : draw(random, family->dil);
    d->pad_top = draw(random, family->pad);
    const bool symmetric = chance(random, 50);
    int *const others[] = { &d->pad_bottom, &d->pad_left, &d->pad_right };
    for (int i = 0; i < 3; i++)
        *others[i] = symmetric ? d->pad_top : draw(random, family->pad);
}

static bool fits(const cvl_conv_desc *d)
{
    const bool covered = d->dil_h * (d->r - 1) < d->h + d->pad_top + d->pad_bottom
        && d->dil_w * (d->s - 1) < d->w + d->pad_left + d->pad_right;
    return covered && cvl_conv_flops(d) <= 2 * RANDOM_PROBLEM_COST_MAX;
}

static void draw_layouts(struct cvl_random *random, cvl_conv_desc *d)
{
    const bool mixed = chance(random, 20);
    d->x_layout = cvl_random_below(random, 2) ? CVL_NHWC : CVL_NCHW;
    d->y_layout = mixed && chance(random, 50) ? (cvl_layout)(CVL_NHWC - d->x_layout) : d->x_layout;
    d->w_layout = mixed ? (cvl_filter_layout)cvl_random_below(random, 3)
                        : d->x_layout == CVL_NHWC ? CVL_KRSC : CVL_KCRS;
}

static cvl_dtype *written_type(cvl_conv_desc *d)
{
    return d->pass == CVL_FWD ? &d->y_type : d->pass == CVL_BWD_DATA ? &d->x_type : &d->w_type;
}

static void draw_half(struct cvl_random *random, cvl_conv_desc *d)
{
    d->x_type = d->w_type = d->y_type = chance(random, 50) ? CVL_BF16 : CVL_F16;
    if (chance(random, 20))
        d->math = d->x_type == CVL_BF16 ? CVL_MATH_BF16 : CVL_MATH_F16;
    if (chance(random, 50))
        *written_type(d) = CVL_F32;
}

static void draw_integer(struct cvl_random *random, cvl_conv_desc *d)
{
    static const cvl_dtype bytes[] = { CVL_U8, CVL_S8 }, results[] = { CVL_S32, CVL_U8, CVL_S8 };
    d->x_type = bytes[cvl_random_below(random, 2)];
    d->y_type = bytes[cvl_random_below(random, 2)];
    d->w_type = CVL_S8;
    *written_type(d) = results[d->pass == CVL_BWD_FILTER ? 0 : cvl_random_below(random, 3)];
    const bool sums = *written_type(d) == CVL_S32;
    d->quant.x_zero = chance(random, 50) && !(sums && d->pass == CVL_BWD_DATA);
    d->quant.w_zero = chance(random, 40) && d->pass != CVL_BWD_FILTER;
    d->quant.y_zero = chance(random, 50) && !(sums && d->pass == CVL_FWD);
    d->quant.per_channel = chance(random, 50) && d->pass != CVL_BWD_FILTER;
}

static void draw_types(struct cvl_random *random, cvl_conv_desc *d)
{
    const int percent = cvl_random_below(random, 100);
    if (percent < 12)
        draw_half(random, d);
    else if (percent < 24)
        draw_integer(random, d);
    else if (percent < 30)
        d->math = (cvl_math)cvl_random_below(random, CVL_MATH_F16 + 1);
}

static void draw_epilogue(struct cvl_random *random, cvl_conv_desc *d)
{
    if (chance(random, 40))
        return;
    const int acts = *written_type(d) == CVL_S32 ? CVL_ACT_CLIP + 1 : CVL_ACT_GELU + 1;
    d->epi.bias = chance(random, 50) && d->pass != CVL_BWD_FILTER;
    d->epi.residual = chance(random, 50);
    d->epi.act = chance(random, 30) ? CVL_ACT_NONE : (cvl_act)cvl_random_below(random, acts);
    if (d->epi.act == CVL_ACT_CLIP) {
        d->epi.lo = (float)(cvl_random_below(random, 5) - 3) * 0.25f;
        d->epi.hi = d->epi.lo + (float)cvl_random_below(random, 9) * 0.25f;
    }
}

cvl_conv_desc random_problem(struct cvl_random *random)
{
    const struct family *family = draw_family(random);
    cvl_conv_desc d;
    cvl_conv_desc_init(&d);
    do
        draw_shape(random, family, &d);
    while (!fits(&d));
    d.pass = (cvl_pass)cvl_random_below(random, CVL_BWD_FILTER + 1);
    draw_layouts(random, &d);
    draw_types(random, &d);
    draw_epilogue(random, &d);
    d.const_filter = chance(random, 50) && d.pass != CVL_BWD_FILTER;
    return d;
}
