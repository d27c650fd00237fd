/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/cuda/cuda_igemm_tensor.cuh"

extern "C" int cvl_cuda_igemm_f16(const struct cvl_gemm *g, int tile, int stages, void *stream)
{
    return cvl_tensor_launch<cvl_f16>(g, tile, stages, stream);
}
