/* SPDX-License-Identifier: Apache-2.0
 * The rates of a GPU: of the CUDA cores in f32, of the tensor cores in tf32 and bf16, of copies in its memory and in
 * its L2 cache. */
#ifndef BASE_CUDA_CUDA_RATES_H
#define BASE_CUDA_CUDA_RATES_H

#include "base/device.h"

struct cvl_rates cvl_cuda_rates_nominal(const struct cvl_device *device);   /* from clocks and multiprocessors */
cvl_status       cvl_cuda_rates_measure(const struct cvl_device *device, double seconds, struct cvl_rates *rates);

#endif
