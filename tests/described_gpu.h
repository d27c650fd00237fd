/* SPDX-License-Identifier: Apache-2.0
 * A context on a GPU that is not there, only described: algorithms are asked about problems and make plans, nothing
 * runs. Its numbers are an H200's; h200.json tells them to cuDNN, and was written by hand from the vendor's
 * specification. */
#ifndef TESTS_DESCRIBED_GPU_H
#define TESTS_DESCRIBED_GPU_H

#include "base/ctx.h"

/* One for the whole program. */
cvl_ctx *described_gpu(void);

#endif
