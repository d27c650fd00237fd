/* SPDX-License-Identifier: Apache-2.0
 * Copies from global into shared memory that pass by the registers (cp.async, sm_80 and later), with zeros for what is
 * outside; on the host, copies. */
#ifndef CONV_CUDA_CUDA_COPY_H
#define CONV_CUDA_CUDA_COPY_H

#include "conv/cuda/cuda_gather.h"

#include <string.h>

/* to is aligned to the size, from too; if nothing is inside, `from` is not read. */
CVL_HD void cvl_copy_16(void *to, const void *from, int inside)
{
#ifdef __CUDA_ARCH__
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :: "r"((uint32_t)__cvta_generic_to_shared(to)), "l"(from), "r"(inside ? 16 : 0) : "memory");
#else
    memset(to, 0, 16);
    if (inside)
        memcpy(to, from, 16);
#endif
}

CVL_HD void cvl_copy_4(void *to, const void *from, int inside)
{
#ifdef __CUDA_ARCH__
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
                 :: "r"((uint32_t)__cvta_generic_to_shared(to)), "l"(from), "r"(inside ? 4 : 0) : "memory");
#else
    memset(to, 0, 4);
    if (inside)
        memcpy(to, from, 4);
#endif
}

/* Through a register: there is no cp.async of two bytes. */
CVL_HD void cvl_copy_2(void *to, const void *from, int inside)
{
    *(uint16_t *)to = inside ? *(const uint16_t *)from : (uint16_t)0;
}

#ifdef __CUDACC__
static __device__ __forceinline__ void cvl_copy_commit(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Until at most stages - 2 groups are under way: the oldest of stages - 1 has arrived. */
static __device__ __forceinline__ void cvl_copy_wait(int stages)
{
    if (stages == 2)
        asm volatile("cp.async.wait_group 0;" ::: "memory");
    else if (stages == 3)
        asm volatile("cp.async.wait_group 1;" ::: "memory");
    else
        asm volatile("cp.async.wait_group 2;" ::: "memory");
}
#endif

#endif
