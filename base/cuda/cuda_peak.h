/* SPDX-License-Identifier: Apache-2.0
 * Loops that do nothing but what a rate is named after. Launched on a stream; what comes back is a cudaError_t. */
#ifndef BASE_CUDA_CUDA_PEAK_H
#define BASE_CUDA_CUDA_PEAK_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CVL_CUDA_PEAK_THREADS 256
#define CVL_CUDA_PEAK_BLOCKS 4       /* on each multiprocessor, enough for every loop here */

struct cvl_cuda_peak {
    int    blocks, rounds;
    bool   wgmma;                    /* the device has compute capability 9.0 */
    float *sink;                     /* (blocks, CVL_CUDA_PEAK_THREADS): results that nobody needs; f32 takes NULL */
};

/* Multiply-adds on the CUDA cores and on the tensor cores; *flops: operations of one launch. */
int cvl_cuda_peak_f32(const struct cvl_cuda_peak *peak, void *stream, double *flops);
int cvl_cuda_peak_tf32(const struct cvl_cuda_peak *peak, void *stream, double *flops);
int cvl_cuda_peak_bf16(const struct cvl_cuda_peak *peak, void *stream, double *flops);

/* to[0, bytes) = from[0, bytes), both aligned to 16 bytes, bytes a multiple of 16. */
int cvl_cuda_peak_copy(void *to, const void *from, size_t bytes, int blocks, void *stream);

/* Floats of random bits and magnitudes below 2: data that toggles as many wires as real data does. */
int cvl_cuda_peak_random(void *to, size_t bytes, int blocks, void *stream);

#ifdef __cplusplus
}
#endif
#endif
