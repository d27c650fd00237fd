/* SPDX-License-Identifier: Apache-2.0
 * What test_vec.c calls: the functions of base/vec.h and base/vec_math.h at one ISA level, `lanes` floats at a time. */
#ifndef TESTS_VEC_CHECK_H
#define TESTS_VEC_CHECK_H

#include "base/cpu.h"
#include "cvl/base.h"

#include <stddef.h>
#include <stdint.h>

struct vec_check {
    int   lanes;
    void  (*load_store)(const float *from, float *to);
    void  (*set)(float value, float *to);
    void  (*load_part)(const float *from, int lanes, float *to);
    void  (*store_part)(float *to, const float *from, int lanes);
    void  (*load_strided)(const float *from, ptrdiff_t stride, int lanes, float *to);
    void  (*store_strided)(float *to, ptrdiff_t stride, const float *from, int lanes);
    void  (*load_even)(const float *from, int lanes, float *to);
    void  (*zip)(const float *a, const float *b, float *to);           /* 2 * lanes: low, then high */
    void  (*even_odd)(const float *a, const float *b, float *to);
    void  (*transpose)(float *rows);                                   /* (lanes, lanes) */
    void  (*transpose_quads)(float *rows);
    void  (*less)(const float *a, const float *b, float *to);          /* vf_select(a < b, a, b) */
    void  (*min)(const float *a, const float *b, float *to);
    void  (*max)(const float *a, const float *b, float *to);
    void  (*clip)(const float *from, float lo, float hi, float *to);
    float (*sum)(const float *from);
    void  (*dot_u8s8)(int32_t *sums, const uint8_t *a, const int8_t *b);
    void  (*scale)(const float *from, const int32_t *n, float *to);
    void  (*exp)(const float *from, float *to);
    void  (*erfc)(const float *from, float *to);
    void  (*activate)(const float *from, cvl_act act, float lo, float hi, float *to);
};

#endif
