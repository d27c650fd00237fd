/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/cuda/cuda_depthwise_launch.cuh"

extern "C" int cvl_cuda_dw_f16(const struct cvl_dw_launch *g, int filter, void *stream)
{
    return g->vector == 8 ? cvl_dw_launch_taps<CVL_F16, 8>(g, filter, (cudaStream_t)stream)
                          : cvl_dw_launch_taps<CVL_F16, 1>(g, filter, (cudaStream_t)stream);
}
