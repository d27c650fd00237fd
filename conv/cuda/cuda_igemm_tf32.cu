/* SPDX-License-Identifier: Apache-2.0
 * Tiles of f32 are always by rows. */
#include "conv/cuda/cuda_igemm_tensor.cuh"

extern "C" int cvl_cuda_igemm_tf32(const struct cvl_gemm *g, int tile, int stages, void *stream)
{
    return cvl_tensor_launch_tile<cvl_tf32, false, false>(g, tile, stages, stream);
}
