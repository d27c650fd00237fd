/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/lists.h"

#include <string.h>
#include "base/ctx.h"
#include "base/error.h"
#include "base/text.h"
#include "bench/constants.h"
#include "bench/nets.h"
#include "bench/report.h"
#include "conv/registry.h"

static const char *const device_names[] = { [CVL_CPU] = "cpu", [CVL_CUDA] = "cuda" };

static void put_levels(FILE *to, const char *title, int count)
{
    fprintf(to, "%-14s", title);
    for (int isa = 0; isa < count; isa++)
        fprintf(to, " %s", cvl_isa_name((enum cvl_isa)isa));
    fputc('\n', to);
}

void list_algos(FILE *to, const cvl_ctx *ctx)
{
    fprintf(to, "%-16s %8s  %-6s  %-24s  %s\n", "algorithm", "revision", "device", "knobs", "available");
    for (const struct cvl_algo *const *at = cvl_algos; *at; at++) {
        const struct cvl_algo *algo = *at;
        char knobs[128] = "-";
        struct cvl_text text = { knobs, sizeof knobs, 0 };
        for (int i = 0; algo->knobs[i]; i++)
            cvl_text_add(&text, "%s%s", i ? ":" : "", algo->knobs[i]);
        const struct cvl_device *device;
        const bool missing = algo->device != ctx->device->kind && cvl_device_get(algo->device, 0, &device) != CVL_OK;
        const char *lacks = algo->lacks ? algo->lacks() : NULL;
        fprintf(to, "%-16s %8d  %-6s  %-24s  %s", algo->name, algo->revision, device_names[algo->device], knobs,
                missing ? cvl_last_error() : lacks ? lacks : "yes");
        if (missing && lacks)
            fprintf(to, "; %s", lacks);
        fprintf(to, "%s%s\n", algo->version && !lacks ? ", " : "", algo->version && !lacks ? algo->version() : "");
    }
}

cvl_status list_nets(FILE *to)
{
    fprintf(to, "%-20s %9s %5s  %-42s  %s\n", "net", "different", "all", "what", "check that its derivation passed");
    for (const struct net *net = nets; net->name; net++) {
        struct layer_list layers = { 0 };
        const cvl_status status = net_read(net->name, &layers);
        if (status != CVL_OK)
            return status;
        int all = 0;
        for (int i = 0; i < layers.count; i++)
            all += layers.at[i].count;
        fprintf(to, "%-20s %9d %5d  %-42s  %s\n", net->name, layers.count, all, net->what, net->check);
        layer_list_free(&layers);
    }
    return CVL_OK;
}

static void put_rates(FILE *to, const struct cvl_rates rates[2])
{
    static const struct { const char *what, *unit; size_t offset; } rows[] = {
        { "f32 multiply-add peak", "GFLOP/s", offsetof(struct cvl_rates, f32_flops) },
        { "int8 multiply-add peak", "GOP/s", offsetof(struct cvl_rates, s8_ops) },
        { "copy in the L2 cache", "GB/s", offsetof(struct cvl_rates, copy_l2) },
        { "copy in the L3 cache", "GB/s", offsetof(struct cvl_rates, copy_l3) },
        { "copy in memory", "GB/s", offsetof(struct cvl_rates, copy_dram) },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fprintf(to, "%-24s", rows[i].what);
        for (int threads = 0; threads < 2; threads++)
            fprintf(to, " %13.1f", *(const double *)((const char *)&rates[threads] + rows[i].offset) / 1e9);
        fprintf(to, "  %s\n", rows[i].unit);
    }
}

static cvl_status list_gpu(FILE *to, const cvl_ctx *ctx)
{
    const struct cvl_device *device = ctx->device;
    const struct cvl_rates rates = cvl_rates_measure(ctx, 2, true), nominal = device->nominal_rates(device);
    const struct { const char *what, *unit; double measured, nominal; } rows[] = {
        { "f32 multiply-add peak", "GFLOP/s", rates.f32_flops, nominal.f32_flops },
        { "tf32 multiply-add peak", "GFLOP/s", rates.tf32_flops, nominal.tf32_flops },
        { "bf16 multiply-add peak", "GFLOP/s", rates.bf16_flops, nominal.bf16_flops },
        { "copy in the L2 cache", "GB/s", rates.copy_l2, nominal.copy_l2 },
        { "copy in memory", "GB/s", rates.copy_dram, nominal.copy_dram },
    };
    char text[BYTES_TEXT_MAX];
    if (!rates.measured)
        return cvl_fail(CVL_EDEVICE, "%s could not be measured: %.256s", device->name, cvl_last_error());
    fprintf(to, "%-14s %s\n%-14s %d.%d\n%-14s %d\n", "GPU", device->model, "capability", device->capability / 10,
            device->capability % 10, "processors", device->multiprocessors);
    fprintf(to, "%-14s %s\n", "L2 cache", report_bytes(device->l2_bytes, text));
    fprintf(to, "%-14s %s\n", "memory", report_bytes(device->memory_bytes, text));
    fprintf(to, "%-14s driver %s, runtime %s\n\n%-24s %13s %13s\n", "CUDA", device->driver, device->runtime, "", "measured",
            "by its clocks");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        fprintf(to, "%-24s %13.1f %13.1f  %s\n", rows[i].what, rows[i].measured / 1e9, rows[i].nominal / 1e9,
                rows[i].unit);
    return CVL_OK;
}

static void put_cache(FILE *to, const char *title, size_t bytes)
{
    char text[BYTES_TEXT_MAX];
    fprintf(to, "%-14s %s\n", title, bytes ? report_bytes(bytes, text) : "unknown");
}

cvl_status list_machine(FILE *to, const cvl_ctx *ctx, const char *path)
{
    const struct cvl_cpu *cpu = cvl_cpu_info();
    cvl_ctx_options options;
    cvl_ctx *single;
    if (ctx->device->kind != CVL_CPU)
        return list_gpu(to, ctx);
    cvl_ctx_options_init(&options);
    options.threads = 1;
    cvl_status status = cvl_ctx_create(&options, &single);
    if (status != CVL_OK)
        return status;
    fprintf(to, "%-14s %s\n%-14s %d\n", "processor", cpu->model, "processors", cpu->processors);
    put_levels(to, "isa built", CVL_ISA_COUNT);
    put_levels(to, "isa usable", cvl_isa_best() + 1);
    fprintf(to, "%-14s %s\n", "isa in use", cvl_isa_name(ctx->isa));
    put_cache(to, "L1 data cache", cpu->l1d);
    put_cache(to, "L2 cache", cpu->l2);
    put_cache(to, "L3 cache", cpu->l3);
    fprintf(to, "\n%-24s %8d thread %5d thread%s\n", "measured", 1, ctx->threads, ctx->threads == 1 ? "" : "s");
    const struct cvl_rates rates[] = { cvl_rates_measure(single, 1, true), cvl_rates_measure(ctx, 1, true) };
    put_rates(to, rates);
    status = constants_store(single, path, &rates[0]);
    if (status == CVL_OK && ctx->threads > 1)
        status = constants_store(ctx, path, &rates[1]);
    cvl_ctx_destroy(single);
    return status;
}
