/* SPDX-License-Identifier: Apache-2.0 */
#include "vec_check.h"

#include "base/vec_math.h"

#include <string.h>

static vi load_ints(const void *from)
{
    vi v;
    memcpy(&v, from, sizeof v);
    return v;
}

static void load_store(const float *from, float *to)
{
    vf_store(to, vf_load(from));
}

static void set(float value, float *to)
{
    vf_store(to, vf_set(value));
}

static void load_part(const float *from, int lanes, float *to)
{
    vf_store(to, vf_load_part(from, lanes));
}

static void store_part(float *to, const float *from, int lanes)
{
    vf_store_part(to, vf_load(from), lanes);
}

static void load_strided(const float *from, ptrdiff_t stride, int lanes, float *to)
{
    vf_store(to, vf_load_strided(from, stride, lanes));
}

static void store_strided(float *to, ptrdiff_t stride, const float *from, int lanes)
{
    vf_store_strided(to, stride, vf_load(from), lanes);
}

static void load_even(const float *from, int lanes, float *to)
{
    vf_store(to, vf_load_even(from, lanes));
}

static void zip(const float *a, const float *b, float *to)
{
    vf_store(to, vf_zip_low(vf_load(a), vf_load(b)));
    vf_store(to + VF_LANES, vf_zip_high(vf_load(a), vf_load(b)));
}

static void even_odd(const float *a, const float *b, float *to)
{
    vf_store(to, vf_even_odd(vf_load(a), vf_load(b)));
}

static void transpose(float *rows)
{
    vf v[VF_LANES];
    for (int i = 0; i < VF_LANES; i++)
        v[i] = vf_load(rows + i * VF_LANES);
    vf_transpose(v);
    for (int i = 0; i < VF_LANES; i++)
        vf_store(rows + i * VF_LANES, v[i]);
}

static void transpose_quads(float *rows)
{
    vf v[VF_LANES];
    for (int i = 0; i < VF_LANES; i++)
        v[i] = vf_load(rows + i * VF_LANES);
    vf_transpose_quads(v);
    for (int i = 0; i < VF_LANES; i++)
        vf_store(rows + i * VF_LANES, v[i]);
}

static void less(const float *a, const float *b, float *to)
{
    vf_store(to, vf_select(vf_load(a) < vf_load(b), vf_load(a), vf_load(b)));
}

static void min(const float *a, const float *b, float *to)
{
    vf_store(to, vf_min(vf_load(a), vf_load(b)));
}

static void max(const float *a, const float *b, float *to)
{
    vf_store(to, vf_max(vf_load(a), vf_load(b)));
}

static void clip(const float *from, float lo, float hi, float *to)
{
    vf_store(to, vf_clip(vf_load(from), vf_set(lo), vf_set(hi)));
}

static float sum(const float *from)
{
    return vf_sum(vf_load(from));
}

static void dot_u8s8(int32_t *sums, const uint8_t *a, const int8_t *b)
{
    const vi v = vi_dot_u8s8(load_ints(sums), load_ints(a), load_ints(b));
    memcpy(sums, &v, sizeof v);
}

static void scale(const float *from, const int32_t *n, float *to)
{
    vf_store(to, vf_scale(vf_load(from), load_ints(n)));
}

static void exponential(const float *from, float *to)
{
    vf_store(to, vf_exp(vf_load(from)));
}

static void complementary_error(const float *from, float *to)
{
    vf_store(to, vf_erfc(vf_load(from)));
}

static void activate(const float *from, cvl_act act, float lo, float hi, float *to)
{
    vf_store(to, vf_activate(vf_load(from), act, lo, hi));
}

extern const struct vec_check CVL_KERN(vec_check);
const struct vec_check CVL_KERN(vec_check) = {
    .lanes = VF_LANES, .load_store = load_store, .set = set, .load_part = load_part, .store_part = store_part,
    .load_strided = load_strided, .store_strided = store_strided, .load_even = load_even, .zip = zip,
    .even_odd = even_odd, .transpose = transpose, .transpose_quads = transpose_quads, .less = less, .min = min,
    .max = max, .clip = clip, .sum = sum, .dot_u8s8 = dot_u8s8, .scale = scale, .exp = exponential,
    .erfc = complementary_error, .activate = activate,
};
