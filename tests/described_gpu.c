/* SPDX-License-Identifier: Apache-2.0 */
#include "described_gpu.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static char description[4096];

static void read_description(void)
{
    FILE *file = fopen(CVL_TESTS_DIR "/h100.json", "r");
    if (!file) {
        perror(CVL_TESTS_DIR "/h100.json");
        exit(1);
    }
    description[fread(description, 1, sizeof description - 1, file)] = '\0';
    fclose(file);
}

/* cuDNN plans the kernels that it compiles only where it finds a driver. The toolkit's stub will do: it has the name,
 * and is what later calls of the loader find. */
static void find_driver(void)
{
    if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL))
        dlopen(CVL_CUDA_STUB, RTLD_NOW | RTLD_GLOBAL);
}

cvl_ctx *described_gpu(void)
{
    static struct cvl_device device = {
        .name = "cuda:described", .kind = CVL_CUDA, .model = "NVIDIA H100 80GB HBM3", .driver = "13.0",
        .runtime = "13.0", .capability = 90, .multiprocessors = 132, .l2_bytes = 50 << 20, .memory_bytes = (size_t)79 << 30,
        .shared_bytes = 227 << 10, .core_hz = 1.98e9, .memory_bytes_per_s = 3.35e12, .description = description,
    };
    static cvl_ctx ctx = { .device = &device, .threads = 1 };
    if (!*description) {
        read_description();
        find_driver();
    }
    ctx.rates = (struct cvl_rates){ .f32_flops = 64e12, .tf32_flops = 480e12, .bf16_flops = 920e12, .s8_ops = 1500e12,
                                    .copy_l2 = 1.6e12, .copy_l3 = 1.6e12, .copy_dram = 1.4e12 };
    return &ctx;
}
