/* SPDX-License-Identifier: Apache-2.0
 * A context on a GPU that is not there, only described: algorithms are asked about problems and make plans, nothing
 * runs. Its numbers are an H100's, as conv-bench --machine measured them; h100.json, which describe-gpu printed there,
 * tells them to cuDNN. */
#ifndef TESTS_DESCRIBED_GPU_H
#define TESTS_DESCRIBED_GPU_H

#include "base/ctx.h"

/* One for the whole program. */
cvl_ctx *described_gpu(void);

#endif
