/* SPDX-License-Identifier: Apache-2.0
 * A row is a struct with one member a column, in the order of the file; a value that is not available is NULL, NAN or
 * NONE, and its field stays empty. */
#include "bench/report_csv.h"

#include <csv.h>
#include <math.h>
#include <string.h>
#include "base/text.h"
#include "conv/registry.h"

#define NONE (-1)

#define COLUMNS(TEXT, REAL, WHOLE)                                                                                     \
    TEXT(name) TEXT(problem) TEXT(pass) TEXT(dtype) TEXT(layout) WHOLE(threads) TEXT(device) TEXT(algorithm)           \
    TEXT(candidate) WHOLE(chosen) TEXT(status) TEXT(reason) TEXT(source) TEXT(state) REAL(median_ms) REAL(min_ms)      \
    REAL(ci_low_ms) REAL(ci_high_ms) WHOLE(samples) REAL(estimate_ms) REAL(gflops) REAL(percent_peak)                  \
    WHOLE(workspace_bytes) WHOLE(packed_bytes) REAL(pack_ms) REAL(rel_error) REAL(l2_error) WHOLE(deterministic)       \
    WHOLE(count) TEXT(isa) TEXT(machine) TEXT(commit) TEXT(library)        \
    REAL(percent_roofline)

#define TEXT_MEMBER(column) const char *column;
#define REAL_MEMBER(column) double column;
#define WHOLE_MEMBER(column) long long column;
struct csv_row { COLUMNS(TEXT_MEMBER, REAL_MEMBER, WHOLE_MEMBER) };

enum kind { TEXT, REAL, WHOLE };
#define TEXT_COLUMN(column) { #column, TEXT, offsetof(struct csv_row, column) },
#define REAL_COLUMN(column) { #column, REAL, offsetof(struct csv_row, column) },
#define WHOLE_COLUMN(column) { #column, WHOLE, offsetof(struct csv_row, column) },
static const struct { const char *name; enum kind kind; size_t offset; } columns[] = {
    COLUMNS(TEXT_COLUMN, REAL_COLUMN, WHOLE_COLUMN)
};
enum { COLUMN_COUNT = sizeof columns / sizeof *columns };

/* The texts that a row points at and that exist nowhere else: fields of the problem, and the algorithm. */
struct parts { char pass[16], dtype[32], layout[32], algorithm[CVL_CANDIDATE_MAX]; };

/* RFC 4180: quoted where it must be. */
static void put_text(FILE *to, const char *text)
{
    if (text[strcspn(text, ",\"\r\n")] || *text == ' ' || (*text && text[strlen(text) - 1] == ' '))
        csv_fwrite(to, text, strlen(text));
    else
        fputs(text, to);
}

static void put_row(FILE *to, const struct csv_row *row)
{
    for (int i = 0; i < COLUMN_COUNT; i++) {
        const void *value = (const char *)row + columns[i].offset;
        const char *text = columns[i].kind == TEXT ? *(const char *const *)value : NULL;
        const double real = columns[i].kind == REAL ? *(const double *)value : NAN;
        const long long whole = columns[i].kind == WHOLE ? *(const long long *)value : NONE;
        if (i)
            fputc(',', to);
        if (text)
            put_text(to, text);
        if (!isnan(real))
            fprintf(to, "%.6g", real);
        if (whole != NONE)
            fprintf(to, "%lld", whole);
    }
    fputc('\n', to);
}

/* Copies up to the next ':' and returns what follows it. */
static const char *copy_field(char *to, size_t size, const char *from)
{
    const size_t length = strcspn(from, ":"), kept = length < size ? length : size - 1;
    memcpy(to, from, kept);
    to[kept] = '\0';
    return from + length + (from[length] == ':');
}

/* "fwd:f32:nchw:...": the first three fields of the problem's text are the columns pass, dtype and layout. */
static void split_texts(const struct layer_report *report, const cvl_result *result, struct parts *parts)
{
    const char *field = copy_field(parts->pass, sizeof parts->pass, report->problem);
    field = copy_field(parts->dtype, sizeof parts->dtype, field);
    copy_field(parts->layout, sizeof parts->layout, field);
    copy_field(parts->algorithm, sizeof parts->algorithm, result->candidate);
}

static double known(bool is, double value) { return is ? value : NAN; }

static void put_result(FILE *to, const struct layer_report *report, const cvl_result *result)
{
    struct parts parts;
    split_texts(report, result, &parts);
    const struct cvl_algo *algo = cvl_algo_find(parts.algorithm, strlen(parts.algorithm));
    const bool ran = result->samples > 0, rejected = result->outcome == CVL_OUTCOME_REJECTED;
    const struct bench_place *place = report->place;
    const struct csv_row row = {
        .name = report->layer->name, .problem = report->problem,
        .pass = parts.pass, .dtype = parts.dtype, .layout = parts.layout,
        .threads = place->threads, .device = place->device,
        .algorithm = parts.algorithm, .candidate = result->candidate, .chosen = result->chosen,
        .status = cvl_outcome_name(result->outcome), .reason = result->reason,
        .source = result->source == CVL_SOURCE_NONE ? NULL : cvl_source_name(result->source),
        .state = cvl_state_name(place->state),
        .median_ms = known(ran, result->median_ms), .min_ms = known(ran, result->min_ms),
        .ci_low_ms = known(ran, result->ci_low_ms), .ci_high_ms = known(ran, result->ci_high_ms),
        .samples = rejected ? NONE : result->samples,
        .estimate_ms = known(!rejected && result->estimate_ms > 0, result->estimate_ms),
        .gflops = known(ran, report_gflops(report, result)),
        .percent_peak = known(ran && report_peak(report) > 0, report_percent_peak(report, result)),
        .workspace_bytes = rejected ? NONE : (long long)result->workspace_bytes,
        .packed_bytes = rejected ? NONE : (long long)result->packed_bytes,
        .pack_ms = known(ran, result->pack_ms),
        .rel_error = known(!rejected && result->rel_error >= 0, result->rel_error),
        .l2_error = known(!rejected && result->l2_error >= 0, result->l2_error),
        .deterministic = rejected ? NONE : result->deterministic,
        .count = report->layer->count, .isa = place->isa, .machine = place->machine, .commit = place->commit,
        .library = algo && algo->version ? algo->version() : NULL,
        .percent_roofline = known(ran && report_peak(report) > 0, report_percent_roofline(report, result)),
    };
    put_row(to, &row);
}

void report_csv_header(FILE *to)
{
    for (int i = 0; i < COLUMN_COUNT; i++)
        fprintf(to, "%s%s", i ? "," : "", columns[i].name);
    fputc('\n', to);
    fflush(to);
}

void report_csv_layer(FILE *to, const struct layer_report *report)
{
    for (int i = 0; i < report->count; i++)
        put_result(to, report, &report->results[i]);
    fflush(to);
}
