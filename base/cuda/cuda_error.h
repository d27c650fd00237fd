/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CUDA_CUDA_ERROR_H
#define BASE_CUDA_CUDA_ERROR_H

#include "cvl/base.h"

/* What a function of the CUDA runtime returned, or a launcher of ours: CVL_OK, or CVL_ENOMEM or CVL_EDEVICE with one
 * sentence, "cudaMalloc of 64 bytes: out of memory". Clears the runtime's own last error. */
cvl_status cvl_cuda_check(int error, const char *what);

#endif
