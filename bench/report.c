/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/report.h"

#include <math.h>
#include <string.h>
#include "conv/desc.h"

/* Whoever wins with one of these, the reader wants to know what this project's own best takes. */
static const char *const vendors[] = { "onednn", "cudnn", "cudnn-framework", NULL };

void report_init(struct layer_report *report, const struct layer_list *list, const struct layer *layer,
                 const struct bench_place *place)
{
    *report = (struct layer_report){ .layer = layer, .place = place, .regret = -1 };
    workload_label(list, layer, report->label);
    cvl_conv_print(&layer->desc, report->problem, sizeof report->problem);
}

void report_take(struct layer_report *report, const cvl_result *results, int count)
{
    report->results = results;
    report->count = count;
    report->chosen = NULL;
    for (int i = 0; i < count; i++)
        if (results[i].chosen)
            report->chosen = &results[i];
}

static bool of_vendor(const cvl_result *result)
{
    const size_t length = strcspn(result->candidate, ":");
    for (int i = 0; vendors[i]; i++)
        if (strlen(vendors[i]) == length && memcmp(result->candidate, vendors[i], length) == 0)
            return true;
    return false;
}

static bool is_right(const cvl_result *result)
{
    return result->samples > 0
        && (result->outcome == CVL_OUTCOME_OK || result->outcome == CVL_OUTCOME_ELIMINATED);
}

static const cvl_result *fastest(const struct layer_report *report, bool own)
{
    const cvl_result *best = NULL;
    for (int i = 0; i < report->count; i++) {
        const cvl_result *result = &report->results[i];
        if (result != report->chosen && is_right(result) && !(own && of_vendor(result))
            && (!best || result->median_ms < best->median_ms))
            best = result;
    }
    return best;
}

const cvl_result *report_runner_up(const struct layer_report *report)
{
    return fastest(report, false);
}

const cvl_result *report_best_own(const struct layer_report *report)
{
    return report->chosen && of_vendor(report->chosen) ? fastest(report, true) : NULL;
}

cvl_source report_source(const struct layer_report *report)
{
    for (int i = 0; i < report->count; i++)
        if (report->results[i].source == CVL_SOURCE_MEASURED)
            return CVL_SOURCE_MEASURED;
    return report->chosen ? report->chosen->source : CVL_SOURCE_NONE;
}

bool report_has_fault(const struct layer_report *report)
{
    for (int i = 0; i < report->count; i++)
        if (report->results[i].outcome == CVL_OUTCOME_WRONG || report->results[i].outcome == CVL_OUTCOME_FAILED)
            return true;
    return false;
}

double report_time_ms(const cvl_result *result)
{
    return result->samples > 0 ? result->median_ms : result->estimate_ms;
}

/* On a CPU, bf16 and f16 tensors are held against the f32 peak: that is what every candidate for them can count on. */
double report_rate(const struct cvl_rates *peak, const cvl_conv_desc *desc, const char **name)
{
    const bool halves = !cvl_conv_is_integer(desc) && (!cvl_conv_is_f32(desc) || desc->math > CVL_MATH_TF32);
    const struct { bool is; const char *name; double rate; } rates[] = {
        { cvl_conv_is_integer(desc), "int8", peak->s8_ops },
        { halves && peak->bf16_flops > 0, "bf16", peak->bf16_flops },
        { desc->math == CVL_MATH_TF32 && peak->tf32_flops > 0, "tf32", peak->tf32_flops },
        { true, "f32", peak->f32_flops },
    };
    int i = 0;
    while (!rates[i].is)
        i++;
    *name = rates[i].name;
    return rates[i].rate;
}

double report_peak(const struct layer_report *report)
{
    const char *name;
    return report_rate(&report->place->peak, &report->layer->desc, &name);
}

double report_gflops(const struct layer_report *report, const cvl_result *result)
{
    return result->samples > 0 && result->median_ms > 0
        ? cvl_conv_flops(&report->layer->desc) / (result->median_ms * 1e6) : 0;
}

double report_percent_peak(const struct layer_report *report, const cvl_result *result)
{
    const double peak = report_peak(report);
    return peak > 0 ? 100e9 * report_gflops(report, result) / peak : 0;
}

/* x, w and y once through the smallest level of the memory that holds all three, as fast as a copy goes there, or the
 * operations at their peak, whichever takes longer. */
static double roofline_seconds(const struct layer_report *report)
{
    const cvl_conv_desc *desc = &report->layer->desc;
    const struct cvl_rates *rates = &report->place->peak;
    const struct cvl_cpu *cpu = cvl_cpu_info();
    const double bytes = (double)cvl_conv_bytes(desc, CVL_X) + cvl_conv_bytes(desc, CVL_W)
                       + cvl_conv_bytes(desc, CVL_Y);
    const double l2 = (double)cpu->l2 * report->place->threads;
    const double copied = bytes <= l2 ? rates->copy_l2 : bytes <= cpu->l3 ? rates->copy_l3 : rates->copy_dram;
    return fmax(bytes / 2 / copied, cvl_conv_flops(desc) / report_peak(report));
}

double report_percent_roofline(const struct layer_report *report, const cvl_result *result)
{
    return result->median_ms > 0 ? 100e3 * roofline_seconds(report) / result->median_ms : 0;
}

const char *report_bytes(size_t bytes, char text[BYTES_TEXT_MAX])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB" };
    double value = (double)bytes;
    int unit = 0;
    for (; value >= 1000 && unit < 3; unit++)
        value /= 1024;
    snprintf(text, BYTES_TEXT_MAX, value < 10 && unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}
