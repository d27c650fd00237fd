/* SPDX-License-Identifier: Apache-2.0
 * One warp's product on the tensor cores (sm_80 and later): 16 x 8 sums in f32 += 16 rows of 32 bytes times 8 columns
 * of 32 bytes. Which lane holds what: cuda_mma_lanes.h. */
#ifndef CONV_CUDA_CUDA_MMA_CUH
#define CONV_CUDA_CUDA_MMA_CUH

#include <stdint.h>

struct cvl_tf32 { static constexpr int size = 4; };
struct cvl_bf16 { static constexpr int size = 2; };
struct cvl_f16  { static constexpr int size = 2; };

#define CVL_MMA(SHAPE_AND_TYPES) \
    asm("mma.sync.aligned." SHAPE_AND_TYPES " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3]) \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1))

static __device__ __forceinline__ void cvl_mma(cvl_tf32, float *sums, const uint32_t *a, uint32_t b0, uint32_t b1)
{
    CVL_MMA("m16n8k8.row.col.f32.tf32.tf32.f32");
}
static __device__ __forceinline__ void cvl_mma(cvl_bf16, float *sums, const uint32_t *a, uint32_t b0, uint32_t b1)
{
    CVL_MMA("m16n8k16.row.col.f32.bf16.bf16.f32");
}
static __device__ __forceinline__ void cvl_mma(cvl_f16, float *sums, const uint32_t *a, uint32_t b0, uint32_t b1)
{
    CVL_MMA("m16n8k16.row.col.f32.f16.f16.f32");
}

#undef CVL_MMA

#endif
