/* SPDX-License-Identifier: Apache-2.0
 * What follows from a descriptor. All of these expect one that cvl_conv_check accepted. */
#ifndef CONV_DESC_H
#define CONV_DESC_H

#include "base/hash.h"
#include "cvl/conv.h"

enum cvl_tensor { CVL_X, CVL_W, CVL_Y };

/* *out holds today's defaults of a public struct: copies over them what the caller's version of it has. CVL_EINVAL when
 * *in is NULL or its size is not one of a version up to ours; name says which struct in the sentence. */
cvl_status cvl_complete(const char *name, const void *in, void *out, size_t out_size);
/* The same for a descriptor: every field of *out is set. Its values are not checked. */
cvl_status cvl_conv_desc_complete(const cvl_conv_desc *in, cvl_conv_desc *out);

/* Element offset of (n,c,h,w) in x, of (k,c',r,s) in w, of (n,k,p,q) in y: the four strides of a layout. In blocks of
 * channels at[1] is from block to block, and channels of one block are neighbours. */
struct cvl_strides {
    ptrdiff_t at[4];
    int       block;   /* 16: nchw16c; 0: none */
};

static inline ptrdiff_t cvl_offset(const struct cvl_strides *strides, int i0, int i1, int i2, int i3)
{
    if (strides->block)
        return i0 * strides->at[0] + i1 / strides->block * strides->at[1] + i1 % strides->block + i2 * strides->at[2]
             + i3 * strides->at[3];
    return i0 * strides->at[0] + i1 * strides->at[1] + i2 * strides->at[2] + i3 * strides->at[3];
}

struct cvl_strides cvl_conv_strides(const cvl_conv_desc *desc, enum cvl_tensor tensor);
void               cvl_conv_dims(const cvl_conv_desc *desc, enum cvl_tensor tensor, int dims[4]);
size_t             cvl_conv_count(const cvl_conv_desc *desc, enum cvl_tensor tensor);   /* elements, padded ones too */
int                cvl_conv_block(const cvl_conv_desc *desc, enum cvl_tensor tensor);   /* 16: nchw16c; 0: none */
bool               cvl_conv_is_blocked(const cvl_conv_desc *desc);                      /* x or y is nchw16c */
/* Is the element at this position one that pads the channels of nchw16c? */
bool               cvl_conv_is_padding(const cvl_conv_desc *desc, enum cvl_tensor tensor, size_t index);
cvl_dtype          cvl_conv_type(const cvl_conv_desc *desc, enum cvl_tensor tensor);
size_t             cvl_conv_bytes(const cvl_conv_desc *desc, enum cvl_tensor tensor);

enum cvl_tensor cvl_conv_written(cvl_pass pass);                 /* FWD y, BWD_DATA x, BWD_FILTER w */
void           *cvl_conv_pointer(const cvl_conv_args *args, enum cvl_tensor tensor);
int             cvl_conv_bias_count(const cvl_conv_desc *desc);  /* k; BWD_DATA: c */
double          cvl_conv_reduction(const cvl_conv_desc *desc);   /* products summed into one element, with padding */
bool            cvl_conv_is_integer(const cvl_conv_desc *desc);
bool            cvl_conv_is_f32(const cvl_conv_desc *desc);      /* x, w and y all f32 */

/* 1x1, stride 1, no padding: the image itself is the matrix. */
bool cvl_conv_is_pointwise(const cvl_conv_desc *desc);

/* Equality and hash of the identity of a problem: every field but size. */
struct cvl_conv_key { int32_t field[40]; };
void     cvl_conv_key_of(const cvl_conv_desc *desc, struct cvl_conv_key *key);
uint64_t cvl_conv_key_hash(const struct cvl_conv_key *key);
bool     cvl_conv_key_equal(const struct cvl_conv_key *a, const struct cvl_conv_key *b);

/* The taps that reach the image: r in [*first, *last) with 0 <= p*stride + r*dil - pad < extent. */
static inline void cvl_tap_range(int p, int stride, int dil, int pad, int taps, int extent, int *first, int *last)
{
    const int origin = p * stride - pad;
    *first = origin >= 0 ? 0 : (-origin + dil - 1) / dil;
    *last = origin >= extent ? 0 : (extent - origin + dil - 1) / dil;
    if (*last > taps)
        *last = taps;
    if (*first > *last)
        *first = *last;
}

#endif
