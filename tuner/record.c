/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/record.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "tuner/line.h"

#define ENV(member) CVL_FIELD_OF(struct cvl_environment, member)
#define REC(member) CVL_FIELD_OF(struct cvl_record, member)

/* The matched fields come first: the id is the hash of their text. */
const struct cvl_field cvl_environment_fields[CVL_ENVIRONMENT_FIELDS] = {
    { "cpu", CVL_FIELD_TEXT, ENV(cpu) },
    { "isa", CVL_FIELD_TEXT, ENV(isa) },
    { "threads", CVL_FIELD_NATURAL, ENV(threads), .limit = INT_MAX },
    { "gpu", CVL_FIELD_TEXT, ENV(gpu) },
    { "cudnn", CVL_FIELD_TEXT, ENV(cudnn) },
    { "compiler", CVL_FIELD_TEXT, ENV(compiler) },
    { "lib", CVL_FIELD_TEXT, ENV(library) },
    { "driver", CVL_FIELD_TEXT, ENV(driver) },
    { "host", CVL_FIELD_TEXT, ENV(host) },
    { "l1d", CVL_FIELD_NATURAL, ENV(l1d), .limit = SIZE_MAX },
    { "l2", CVL_FIELD_NATURAL, ENV(l2), .limit = SIZE_MAX },
    { "l3", CVL_FIELD_NATURAL, ENV(l3), .limit = SIZE_MAX },
    { "capability", CVL_FIELD_NATURAL, ENV(capability), .limit = INT_MAX },
    { "sms", CVL_FIELD_NATURAL, ENV(multiprocessors), .limit = INT_MAX },
    { "gpul2", CVL_FIELD_NATURAL, ENV(gpu_l2), .limit = SIZE_MAX },
};

const struct cvl_field cvl_record_fields[CVL_RECORD_FIELDS] = {
    { "rev", CVL_FIELD_NATURAL, REC(revision), .limit = INT_MAX, .always = true },
    { "n", CVL_FIELD_NATURAL, REC(samples), .limit = INT_MAX, .always = true },
    { "when", CVL_FIELD_NATURAL, REC(when), .limit = INT64_MAX, .always = true },
    { "runs", CVL_FIELD_NATURAL, REC(runs), .limit = INT_MAX },
    { "outcome", CVL_FIELD_OUTCOME, REC(outcome) },
    { "ms", CVL_FIELD_REAL, REC(median_ms) },
    { "min", CVL_FIELD_REAL, REC(min_ms) },
    { "lo", CVL_FIELD_REAL, REC(ci_low_ms) },
    { "hi", CVL_FIELD_REAL, REC(ci_high_ms) },
    { "race", CVL_FIELD_NATURAL, REC(race), .limit = UINT64_MAX },
    { "rlo", CVL_FIELD_REAL, REC(ratio_low) },
    { "rhi", CVL_FIELD_REAL, REC(ratio_high) },
    { "est", CVL_FIELD_REAL, REC(estimate_ms) },
    { "raw", CVL_FIELD_REAL, REC(raw_ms) },
    { "pack_ms", CVL_FIELD_REAL, REC(pack_ms) },
    { "err", CVL_FIELD_ERROR, REC(rel_error) },
    { "l2", CVL_FIELD_ERROR, REC(l2_error) },
    { "ws", CVL_FIELD_NATURAL, REC(workspace_bytes), .limit = SIZE_MAX },
    { "packed", CVL_FIELD_NATURAL, REC(packed_bytes), .limit = SIZE_MAX },
    { "det", CVL_FIELD_NATURAL, REC(deterministic), .limit = 1 },
    { "seed", CVL_FIELD_NATURAL, REC(seed), .limit = UINT64_MAX },
    { "by", CVL_FIELD_TEXT, REC(command) },
};

#define RATE(name, member) { name, CVL_FIELD_REAL, CVL_FIELD_OF(struct cvl_rates, member) }
const struct cvl_field cvl_rates_fields[CVL_RATES_FIELDS] = {
    RATE("f32", f32_flops), RATE("s8", s8_ops), RATE("l2", copy_l2), RATE("l3", copy_l3), RATE("dram", copy_dram),
};

static bool is_word(const char *text)
{
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return false;
    return *text != '\0';
}

double cvl_record_round(double value)
{
    char digits[32];
    if (!isfinite(value))
        return value;
    snprintf(digits, sizeof digits, "%.4e", value);
    return strtod(digits, NULL);
}

uint64_t cvl_environment_id(const struct cvl_environment *environment)
{
    char matched[CVL_LINE_MAX];
    struct cvl_text text = { matched, sizeof matched, 0 };
    cvl_fields_print(cvl_environment_fields, CVL_ENVIRONMENT_MATCHED, environment, &text);
    return cvl_hash_bytes(matched, text.used < sizeof matched ? text.used : sizeof matched - 1);
}

size_t cvl_environment_print(const struct cvl_environment *environment, char line[CVL_LINE_MAX])
{
    struct cvl_text text = { line, CVL_LINE_MAX, 0 };
    cvl_text_add(&text, "env %016" PRIx64, cvl_environment_id(environment));
    return cvl_line_seal(&text, cvl_fields_print(cvl_environment_fields, CVL_ENVIRONMENT_FIELDS, environment, &text));
}

size_t cvl_record_print(const struct cvl_record *record, char line[CVL_LINE_MAX])
{
    struct cvl_text text = { line, CVL_LINE_MAX, 0 };
    if (!is_word(record->problem) || !is_word(record->candidate))
        return 0;
    cvl_text_add(&text, "rec %016" PRIx64 " %s %s %s", record->environment, cvl_state_name(record->state),
                 record->problem, record->candidate);
    return cvl_line_seal(&text, cvl_fields_print(cvl_record_fields, CVL_RECORD_FIELDS, record, &text));
}

size_t cvl_want_print(uint64_t environment, cvl_state state, const char *problem, char line[CVL_LINE_MAX])
{
    struct cvl_text text = { line, CVL_LINE_MAX, 0 };
    if (!is_word(problem))
        return 0;
    cvl_text_add(&text, "want %016" PRIx64 " %s %s", environment, cvl_state_name(state), problem);
    return cvl_line_seal(&text, true);
}

size_t cvl_rates_print(uint64_t environment, const struct cvl_rates *rates, int64_t when, char line[CVL_LINE_MAX])
{
    struct cvl_text text = { line, CVL_LINE_MAX, 0 };
    if (when < 0)
        return 0;
    cvl_text_add(&text, "rates %016" PRIx64 " when=%" PRId64, environment, when);
    return cvl_line_seal(&text, cvl_fields_print(cvl_rates_fields, CVL_RATES_FIELDS, rates, &text));
}

static cvl_status copy_word(const struct cvl_span *word, const char *what, char *to, size_t size)
{
    if (word->length >= size)
        return cvl_fail(CVL_ECORRUPT, "the %s is %zu bytes long, expected at most %zu", what, word->length, size - 1);
    memcpy(to, word->at, word->length);
    to[word->length] = '\0';
    return CVL_OK;
}

static cvl_status read_state(const struct cvl_span *word, cvl_state *state)
{
    char text[32];
    const cvl_status status = copy_word(word, "state", text, sizeof text);
    if (status != CVL_OK)
        return status;
    return cvl_state_parse(text, state) == CVL_OK
        ? CVL_OK : cvl_fail(CVL_ECORRUPT, "the state is '%s', which this version does not know", text);
}

cvl_status cvl_environment_parse(const char *line, size_t length, struct cvl_environment *environment, uint64_t *id)
{
    struct cvl_line_parts parts;
    cvl_status status = cvl_line_expect(line, length, CVL_LINE_ENV, &parts);
    if (status != CVL_OK)
        return status;
    *environment = (struct cvl_environment){ .threads = 0 };
    if (id)
        *id = parts.id;
    return cvl_fields_read(cvl_environment_fields, CVL_ENVIRONMENT_FIELDS, parts.fields.at, parts.fields.length,
                           environment);
}

cvl_status cvl_record_parse(const char *line, size_t length, struct cvl_record *record)
{
    struct cvl_line_parts parts;
    cvl_status status = cvl_line_expect(line, length, CVL_LINE_REC, &parts);
    if (status != CVL_OK)
        return status;
    *record = (struct cvl_record){
        .environment = parts.id, .outcome = CVL_OUTCOME_FAILED, .rel_error = -1, .l2_error = -1,
    };
    status = read_state(&parts.key[1], &record->state);
    if (status == CVL_OK)
        status = copy_word(&parts.key[2], "problem", record->problem, sizeof record->problem);
    if (status == CVL_OK)
        status = copy_word(&parts.key[3], "candidate", record->candidate, sizeof record->candidate);
    if (status == CVL_OK)
        status = cvl_fields_read(cvl_record_fields, CVL_RECORD_FIELDS, parts.fields.at, parts.fields.length, record);
    return status;
}

cvl_status cvl_want_parse(const char *line, size_t length, uint64_t *environment, cvl_state *state,
                          char problem[CVL_CONV_TEXT_MAX])
{
    struct cvl_line_parts parts;
    cvl_status status = cvl_line_expect(line, length, CVL_LINE_WANT, &parts);
    if (status != CVL_OK)
        return status;
    *environment = parts.id;
    status = read_state(&parts.key[1], state);
    if (status == CVL_OK)
        status = copy_word(&parts.key[2], "problem", problem, CVL_CONV_TEXT_MAX);
    return status;
}

cvl_status cvl_rates_parse(const char *line, size_t length, struct cvl_rates *rates, uint64_t *id)
{
    struct cvl_line_parts parts;
    struct cvl_rates read = *rates;
    cvl_status status = cvl_line_expect(line, length, CVL_LINE_RATES, &parts);
    if (status == CVL_OK)
        status = cvl_fields_read(cvl_rates_fields, CVL_RATES_FIELDS, parts.fields.at, parts.fields.length, &read);
    if (status != CVL_OK)
        return status;
    if (!(read.f32_flops > 0 && read.s8_ops > 0 && read.copy_l2 > 0 && read.copy_l3 > 0 && read.copy_dram > 0))
        return cvl_fail(CVL_ECORRUPT, "a rate is not above 0");
    if (id)
        *id = parts.id;
    read.measured = true;
    *rates = read;
    return CVL_OK;
}
