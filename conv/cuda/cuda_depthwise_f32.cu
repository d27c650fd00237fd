/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/cuda/cuda_depthwise_launch.cuh"

extern "C" int cvl_cuda_dw_f32(const struct cvl_dw_launch *g, int filter, void *stream)
{
    return g->vector == 4 ? cvl_dw_launch_taps<CVL_F32, 4>(g, filter, (cudaStream_t)stream)
                          : cvl_dw_launch_taps<CVL_F32, 1>(g, filter, (cudaStream_t)stream);
}

static __global__ void __launch_bounds__(CVL_DW_THREADS)
cvl_dw_pack_filter(const __grid_constant__ struct cvl_dw_pack pack)
{
    const int index = blockIdx.x * CVL_DW_THREADS + threadIdx.x;
    if (index < pack.list.count)
        cvl_vector_load(pack.type, pack.from, cvl_list_site(&pack.list, index).at, 1, &pack.to[index]);
}

extern "C" int cvl_cuda_dw_pack(const struct cvl_dw_pack *pack, void *stream)
{
    const unsigned blocks = cvl_dw_blocks(pack->list.count);
    cvl_dw_pack_filter<<<blocks, CVL_DW_THREADS, 0, (cudaStream_t)stream>>>(*pack);
    return (int)cudaGetLastError();
}
