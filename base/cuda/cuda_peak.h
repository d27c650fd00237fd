/* SPDX-License-Identifier: Apache-2.0
 * Loops that do nothing but what a rate is named after. Launched on a stream; what comes back is a cudaError_t. */
#ifndef BASE_CUDA_CUDA_PEAK_H
#define BASE_CUDA_CUDA_PEAK_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cvl_cuda_peak {
    int    blocks, rounds;
    float *sink;             /* one float for each thread: results that nobody needs */
};

#define CVL_CUDA_PEAK_THREADS 256

/* Multiply-adds on the CUDA cores and on the tensor cores; *flops: operations of one launch. */
int cvl_cuda_peak_f32(const struct cvl_cuda_peak *peak, void *stream, double *flops);
int cvl_cuda_peak_tf32(const struct cvl_cuda_peak *peak, void *stream, double *flops);
int cvl_cuda_peak_bf16(const struct cvl_cuda_peak *peak, void *stream, double *flops);

/* to[0, bytes) = from[0, bytes), both aligned to 16 bytes. */
int cvl_cuda_peak_copy(void *to, const void *from, size_t bytes, int blocks, void *stream);

#ifdef __cplusplus
}
#endif
#endif
