/* SPDX-License-Identifier: Apache-2.0
 * Neighbouring elements of a tensor as one access, in f32: 1, 4 or 8 of them, at an index that is a multiple of their
 * number in a tensor that is aligned to them. Counts and types are constants where it matters. The same code on the
 * device and in the tests. */
#ifndef CONV_CUDA_CUDA_VECTOR_H
#define CONV_CUDA_CUDA_VECTOR_H

#include "conv/cuda/cuda_gather.h"
#include "cvl/conv.h"

#include <assert.h>
#include <string.h>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#else
#include "base/dtype.h"
#endif

/* Up to 16 bytes as they lie in memory: several can be on their way before the first is looked at. */
struct cvl_bits { uint32_t word[4]; };

CVL_HD void cvl_vector_check(int64_t at, int count)
{
#ifndef __CUDACC__
    assert(at % count == 0);
#endif
}

CVL_HD int cvl_vector_size(cvl_dtype type) { return type == CVL_F32 ? 4 : 2; }

CVL_HD struct cvl_bits cvl_vector_fetch(const void *tensor, int64_t at, int size, int count)
{
    struct cvl_bits bits = { { 0, 0, 0, 0 } };
    const char *from = (const char *)tensor + at * size;
#ifdef __CUDA_ARCH__
    if (size * count == 16) {
        const uint4 four = *(const uint4 *)from;
        bits.word[0] = four.x, bits.word[1] = four.y, bits.word[2] = four.z, bits.word[3] = four.w;
    } else if (size * count == 8) {
        const uint2 two = *(const uint2 *)from;
        bits.word[0] = two.x, bits.word[1] = two.y;
    } else {
        bits.word[0] = size * count == 4 ? *(const uint32_t *)from : *(const uint16_t *)from;
    }
#else
    memcpy(bits.word, from, (size_t)(size * count));
#endif
    return bits;
}

/* Element i of what was fetched. */
CVL_HD float cvl_vector_element(cvl_dtype type, const struct cvl_bits *bits, int i)
{
#ifdef __CUDA_ARCH__
    if (type == CVL_F32)
        return __uint_as_float(bits->word[i]);
    const uint32_t word = bits->word[i / 2];
    if (type == CVL_BF16)
        return __uint_as_float(i % 2 ? word & 0xffff0000u : word << 16);
    return __half2float(__ushort_as_half((unsigned short)(i % 2 ? word >> 16 : word)));
#elif defined(__CUDACC__)
    return (float)bits->word[i];   /* the host pass of nvcc never runs this */
#else
    return (float)cvl_dtype_load(type, bits->word, (size_t)i);
#endif
}

CVL_HD void cvl_vector_load(cvl_dtype type, const void *tensor, int64_t at, int count, float *v)
{
    const int size = cvl_vector_size(type), each = count * size > 16 ? 16 / size : count;
    cvl_vector_check(at, count);
    CVL_UNROLL_ALL
    for (int first = 0; first < count; first += each) {
        const struct cvl_bits bits = cvl_vector_fetch(tensor, at + first, size, each);
        CVL_UNROLL_ALL
        for (int i = 0; i < each; i++)
            v[first + i] = cvl_vector_element(type, &bits, i);
    }
}

#ifdef __CUDA_ARCH__
/* Two 16-bit elements. */
static __device__ __forceinline__ uint32_t cvl_vector_pair(cvl_dtype type, float low, float high)
{
    union { __nv_bfloat162 bf16; __half2 f16; uint32_t word; } pair;
    if (type == CVL_BF16)
        pair.bf16 = __floats2bfloat162_rn(low, high);
    else
        pair.f16 = __floats2half2_rn(low, high);
    return pair.word;
}

static __device__ __forceinline__ void cvl_vector_store_bits(char *to, const float *v, cvl_dtype type, int count)
{
    if (type == CVL_F32) {
        CVL_UNROLL_ALL
        for (int i = 0; i < count; i += 4)
            ((float4 *)to)[i / 4] = make_float4(v[i], v[i + 1], v[i + 2], v[i + 3]);
    } else if (count == 8) {
        *(uint4 *)to = make_uint4(cvl_vector_pair(type, v[0], v[1]), cvl_vector_pair(type, v[2], v[3]),
                                  cvl_vector_pair(type, v[4], v[5]), cvl_vector_pair(type, v[6], v[7]));
    } else {
        *(uint2 *)to = make_uint2(cvl_vector_pair(type, v[0], v[1]), cvl_vector_pair(type, v[2], v[3]));
    }
}
#endif

CVL_HD void cvl_vector_store(cvl_dtype type, void *tensor, int64_t at, int count, const float *v)
{
    cvl_vector_check(at, count);
#ifdef __CUDA_ARCH__
    char *to = (char *)tensor + at * cvl_vector_size(type);
    if (count > 1)
        cvl_vector_store_bits(to, v, type, count);
    else if (type == CVL_F32)
        *(float *)to = v[0];
    else
        *(uint16_t *)to = (uint16_t)cvl_vector_pair(type, v[0], 0);
#elif !defined(__CUDACC__)
    for (int i = 0; i < count; i++)
        cvl_dtype_store(type, tensor, (size_t)(at + i), v[i]);
#endif
}

#endif
