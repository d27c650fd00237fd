/* SPDX-License-Identifier: Apache-2.0
 * One-dimensional transforms of lines of vectors. A transform of t points fits the registers, so that a two-dimensional
 * one is two passes with a scratch in the first-level cache between them, and any tile goes with any other. */
#include "base/vec_math.h"
#include "conv/winograd/wino.h"

#include "wino_transforms.h"

CVL_INLINE void load_points(const float *from, ptrdiff_t step, const int points, vf *in)
{
    CVL_UNROLL(16)
    for (int j = 0; j < points; j++)
        in[j] = vf_load(from + j * step);
}

CVL_INLINE void store_points(float *to, ptrdiff_t step, const int points, const vf *out)
{
    CVL_UNROLL(16)
    for (int j = 0; j < points; j++)
        vf_store(to + j * step, out[j]);
}

CVL_INLINE void fetch_points(const float *from, ptrdiff_t step, const int points)
{
    CVL_UNROLL(16)
    for (int j = 0; j < points; j++)
        __builtin_prefetch(from + j * step, 0, 2);
}

#define LINES_CASE(kind, m, r, s, loaded, stored) \
    case WINO_F(m, r, s): \
        for (int i = 0; i < l->lines; i++) { \
            vf in[CVL_WINO_T_MAX], out[CVL_WINO_T_MAX]; \
            load_points(l->from + i * l->from_line, l->from_point, loaded, in); \
            if (l->from_ahead) \
                fetch_points(l->from + i * l->from_line + l->from_ahead, l->from_point, loaded); \
            wino_##kind##_##m##_##r##_##s(in, 1, out, 1); \
            store_points(l->to + i * l->to_line, l->to_point, stored, out); \
        } \
        break;
#define INPUT_CASE(m, r, s) LINES_CASE(input, m, r, s, m + r - 1, m + r - 1)
#define FILTER_CASE(m, r, s) LINES_CASE(filter, m, r, s, r, m + r - 1)
#define OUTPUT_CASE(m, r, s) LINES_CASE(output, m, r, s, m + r - 1, m)

static void input(const struct cvl_wino_lines *l) { switch (l->f) { WINO_ALL(INPUT_CASE) } }
static void filter(const struct cvl_wino_lines *l) { switch (l->f) { WINO_ALL(FILTER_CASE) } }
static void output(const struct cvl_wino_lines *l) { switch (l->f) { WINO_ALL(OUTPUT_CASE) } }

/* Bias, residual and bounds of the elements of a line, before they are stored. */
CVL_INLINE void finish_points(const struct cvl_wino_finish *f, const float *add, ptrdiff_t step, const int points,
                              vf *out)
{
    if (f->bias) {
        const vf bias = vf_load(f->bias);
        CVL_UNROLL(16)
        for (int j = 0; j < points; j++)
            out[j] += bias;
    }
    if (add) {
        CVL_UNROLL(16)
        for (int j = 0; j < points; j++)
            out[j] += vf_load(add + j * step);
    }
    if (f->clip) {
        const vf lo = vf_set(f->lo), hi = vf_set(f->hi);
        CVL_UNROLL(16)
        for (int j = 0; j < points; j++)
            out[j] = vf_clip(out[j], lo, hi);
    }
}

#define FINISH_CASE(m, r, s) \
    case WINO_F(m, r, s): \
        for (int i = 0; i < l->lines; i++) { \
            vf in[CVL_WINO_T_MAX], out[CVL_WINO_T_MAX]; \
            load_points(l->from + i * l->from_line, l->from_point, m + r - 1, in); \
            wino_output_##m##_##r##_##s(in, 1, out, 1); \
            finish_points(f, f->add ? f->add + i * l->to_line : NULL, l->to_point, m, out); \
            store_points(l->to + i * l->to_line, l->to_point, m, out); \
            fetch_points(l->to + i * l->to_line + f->ahead, l->to_point, m); \
        } \
        break;

static void finish(const struct cvl_wino_lines *l, const struct cvl_wino_finish *f)
{
    switch (l->f) { WINO_ALL(FINISH_CASE) }
}

extern const struct cvl_wino_kern CVL_KERN(cvl_wino_kern);
const struct cvl_wino_kern CVL_KERN(cvl_wino_kern) = {
    .input = input, .filter = filter, .output = output, .finish = finish,
};
