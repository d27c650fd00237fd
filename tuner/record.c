/* SPDX-License-Identifier: Apache-2.0 */
#include "tuner/record.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include "base/hash.h"
#include "tuner/fields.h"

#define CRC_LENGTH 13   /* " crc=" and eight digits */
#define ID_LENGTH 16
#define KEYS_MAX 4

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))
#define ENV(member) CVL_FIELD_OF(struct cvl_environment, member)
#define REC(member) CVL_FIELD_OF(struct cvl_record, member)

/* The matched fields come first: the id is the hash of their text. */
#define MATCHED 5
static const struct cvl_field environment_fields[] = {
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
};

static const struct cvl_field record_fields[] = {
    { "rev", CVL_FIELD_NATURAL, REC(revision), .limit = INT_MAX, .always = true },
    { "n", CVL_FIELD_NATURAL, REC(samples), .limit = INT_MAX, .always = true },
    { "when", CVL_FIELD_NATURAL, REC(when), .limit = INT64_MAX, .always = true },
    { "outcome", CVL_FIELD_OUTCOME, REC(outcome) },
    { "ms", CVL_FIELD_REAL, REC(median_ms) },
    { "min", CVL_FIELD_REAL, REC(min_ms) },
    { "lo", CVL_FIELD_REAL, REC(ci_low_ms) },
    { "hi", CVL_FIELD_REAL, REC(ci_high_ms) },
    { "est", CVL_FIELD_REAL, REC(estimate_ms) },
    { "pack_ms", CVL_FIELD_REAL, REC(pack_ms) },
    { "err", CVL_FIELD_ERROR, REC(rel_error) },
    { "l2", CVL_FIELD_ERROR, REC(l2_error) },
    { "ws", CVL_FIELD_NATURAL, REC(workspace_bytes), .limit = SIZE_MAX },
    { "packed", CVL_FIELD_NATURAL, REC(packed_bytes), .limit = SIZE_MAX },
    { "det", CVL_FIELD_NATURAL, REC(deterministic), .limit = 1 },
    { "seed", CVL_FIELD_NATURAL, REC(seed), .limit = UINT64_MAX },
    { "by", CVL_FIELD_TEXT, REC(command) },
};

/* What decides between two records with the same key. */
struct rank { int revision, samples; int64_t when; };
static const struct cvl_field rank_fields[] = {
    { "rev", CVL_FIELD_NATURAL, CVL_FIELD_OF(struct rank, revision), .limit = INT_MAX },
    { "n", CVL_FIELD_NATURAL, CVL_FIELD_OF(struct rank, samples), .limit = INT_MAX },
    { "when", CVL_FIELD_NATURAL, CVL_FIELD_OF(struct rank, when), .limit = INT64_MAX },
};

static const struct shape {
    const char             *word;
    int                     keys;      /* words after the kind that say what the line is about; the first is an id */
    const struct cvl_field *fields;
    int                     field_count;
    const char             *form;
} shapes[] = {
    [CVL_LINE_ENV] = { "env", 1, environment_fields, COUNT(environment_fields), "env ID" },
    [CVL_LINE_REC] = { "rec", 4, record_fields, COUNT(record_fields), "rec ID STATE PROBLEM CANDIDATE" },
    [CVL_LINE_WANT] = { "want", 3, NULL, 0, "want ID STATE PROBLEM" },
};

/* A line without its checksum, taken apart. A kind that this version lacks is all key: no two of its lines compete. */
struct span { const char *at; size_t length; };
struct parts {
    const struct shape *shape;   /* NULL: of another kind */
    struct span         key[KEYS_MAX];
    uint64_t            id;
    struct span         about, fields;
};

static struct span next_word(const char *at, const char *end)
{
    const char *space = memchr(at, ' ', (size_t)(end - at));
    return (struct span){ at, (size_t)((space ? space : end) - at) };
}

static bool read_hex(const char *text, int digits, uint64_t *value)
{
    uint64_t sum = 0;
    for (int i = 0; i < digits; i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        sum = sum << 4 | (uint64_t)digit;
    }
    *value = sum;
    return true;
}

static cvl_status dissect(const char *line, size_t length, struct parts *parts)
{
    const char *const end = line + length - CRC_LENGTH;
    const struct span word = next_word(line, end);
    *parts = (struct parts){ .about = { line, (size_t)(end - line) }, .fields = { end, 0 } };
    for (int i = 0; i < COUNT(shapes); i++)
        if (strlen(shapes[i].word) == word.length && memcmp(shapes[i].word, line, word.length) == 0)
            parts->shape = &shapes[i];
    if (!parts->shape)
        return word.length > 0 ? CVL_OK : cvl_fail(CVL_ECORRUPT, "the line has no kind");

    const char *at = line + word.length;
    for (int i = 0; i < parts->shape->keys; i++) {
        parts->key[i] = at < end ? next_word(at + 1, end) : (struct span){ end, 0 };
        at = parts->key[i].at + parts->key[i].length;
        if (parts->key[i].length == 0)
            return cvl_fail(CVL_ECORRUPT, "the line is cut short, expected %s", parts->shape->form);
    }
    if (parts->key[0].length != ID_LENGTH || !read_hex(parts->key[0].at, ID_LENGTH, &parts->id))
        return cvl_fail(CVL_ECORRUPT, "the environment is '%.*s', expected %d hexadecimal digits",
                        (int)(parts->key[0].length < 40 ? parts->key[0].length : 40), parts->key[0].at, ID_LENGTH);
    parts->about.length = (size_t)(at - line);
    parts->fields = (struct span){ at, (size_t)(end - at) };
    return CVL_OK;
}

static enum cvl_line_kind kind_of(const struct parts *parts)
{
    return parts->shape ? (enum cvl_line_kind)(parts->shape - shapes) : CVL_LINE_OTHER;
}

static bool has_control(const char *line, size_t length)
{
    unsigned found = 0;
    for (size_t i = 0; i < length; i++)
        found |= (unsigned char)line[i] < ' ';
    return found;
}

cvl_status cvl_line_check(const char *line, size_t length, enum cvl_line_kind *kind, size_t *key)
{
    struct parts parts;
    uint64_t stated;
    if (length >= CVL_LINE_MAX)
        return cvl_fail(CVL_ECORRUPT, "it is %zu bytes long, expected at most %d", length, CVL_LINE_MAX - 1);
    if (length <= CRC_LENGTH || memcmp(line + length - CRC_LENGTH, " crc=", 5) != 0 ||
        !read_hex(line + length - 8, 8, &stated))
        return cvl_fail(CVL_ECORRUPT, "it does not end with a checksum, crc= and eight hexadecimal digits");
    const uint32_t crc = cvl_crc32(line, length - CRC_LENGTH);
    if (stated != crc)
        return cvl_fail(CVL_ECORRUPT, "checksum is %08" PRIx64 ", expected %08" PRIx32, stated, crc);
    if (has_control(line, length))
        return cvl_fail(CVL_ECORRUPT, "it holds a control character");
    const cvl_status status = dissect(line, length, &parts);
    if (status != CVL_OK)
        return status;
    *kind = kind_of(&parts);
    *key = parts.about.length;
    return parts.shape ? cvl_fields_read(parts.shape->fields, parts.shape->field_count, parts.fields.at,
                                         parts.fields.length, NULL)
                       : CVL_OK;
}

static struct rank rank_of(const char *line, size_t length)
{
    struct parts parts;
    struct rank rank = { 0, 0, 0 };
    if (dissect(line, length, &parts) == CVL_OK && kind_of(&parts) == CVL_LINE_REC)
        cvl_fields_read(rank_fields, COUNT(rank_fields), parts.fields.at, parts.fields.length, &rank);
    return rank;
}

int cvl_line_compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
    const int bytes = memcmp(a, b, a_length < b_length ? a_length : b_length);
    const int order = bytes ? bytes : (a_length > b_length) - (a_length < b_length);
    if (order == 0)
        return 0;
    const struct rank x = rank_of(a, a_length), y = rank_of(b, b_length);
    if (x.revision != y.revision)
        return x.revision < y.revision ? -1 : 1;
    if (x.samples != y.samples)
        return x.samples < y.samples ? -1 : 1;
    if (x.when != y.when)
        return x.when < y.when ? -1 : 1;
    return order;
}

/* Ends the line with its checksum; its length, or 0 when it does not fit or something in it was wrong. */
static size_t seal(struct cvl_text *text, bool right)
{
    enum cvl_line_kind kind;
    size_t key;
    if (!right || text->used >= text->size)
        return 0;
    cvl_text_add(text, " crc=%08" PRIx32, cvl_crc32(text->at, text->used));
    if (text->used >= text->size || cvl_line_check(text->at, text->used, &kind, &key) != CVL_OK)
        return 0;
    return text->used;
}

static bool is_word(const char *text)
{
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return false;
    return *text != '\0';
}

uint64_t cvl_environment_id(const struct cvl_environment *environment)
{
    char matched[CVL_LINE_MAX];
    struct cvl_text text = { matched, sizeof matched, 0 };
    cvl_fields_print(environment_fields, MATCHED, environment, &text);
    return cvl_hash_bytes(matched, text.used < sizeof matched ? text.used : sizeof matched - 1);
}

size_t cvl_environment_print(const struct cvl_environment *environment, char line[CVL_LINE_MAX])
{
    struct cvl_text text = { line, CVL_LINE_MAX, 0 };
    cvl_text_add(&text, "env %016" PRIx64, cvl_environment_id(environment));
    return seal(&text, cvl_fields_print(environment_fields, COUNT(environment_fields), environment, &text));
}

size_t cvl_record_print(const struct cvl_record *record, char line[CVL_LINE_MAX])
{
    struct cvl_text text = { line, CVL_LINE_MAX, 0 };
    if (!is_word(record->problem) || !is_word(record->candidate))
        return 0;
    cvl_text_add(&text, "rec %016" PRIx64 " %s %s %s", record->environment, cvl_state_name(record->state),
                 record->problem, record->candidate);
    return seal(&text, cvl_fields_print(record_fields, COUNT(record_fields), record, &text));
}

size_t cvl_want_print(uint64_t environment, cvl_state state, const char *problem, char line[CVL_LINE_MAX])
{
    struct cvl_text text = { line, CVL_LINE_MAX, 0 };
    if (!is_word(problem))
        return 0;
    cvl_text_add(&text, "want %016" PRIx64 " %s %s", environment, cvl_state_name(state), problem);
    return seal(&text, true);
}

static cvl_status expect(const char *line, size_t length, enum cvl_line_kind kind, struct parts *parts)
{
    const cvl_status status = length > CRC_LENGTH ? dissect(line, length, parts)
                                                  : cvl_fail(CVL_ECORRUPT, "the line is cut short");
    if (status == CVL_OK && kind_of(parts) != kind)
        return cvl_fail(CVL_ECORRUPT, "the line is not of the kind %s", shapes[kind].word);
    return status;
}

static cvl_status copy_word(const struct span *word, const char *what, char *to, size_t size)
{
    if (word->length >= size)
        return cvl_fail(CVL_ECORRUPT, "the %s is %zu bytes long, expected at most %zu", what, word->length, size - 1);
    memcpy(to, word->at, word->length);
    to[word->length] = '\0';
    return CVL_OK;
}

static cvl_status read_state(const struct span *word, cvl_state *state)
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
    struct parts parts;
    cvl_status status = expect(line, length, CVL_LINE_ENV, &parts);
    if (status != CVL_OK)
        return status;
    *environment = (struct cvl_environment){ .threads = 0 };
    if (id)
        *id = parts.id;
    return cvl_fields_read(environment_fields, COUNT(environment_fields), parts.fields.at, parts.fields.length,
                           environment);
}

cvl_status cvl_record_parse(const char *line, size_t length, struct cvl_record *record)
{
    struct parts parts;
    cvl_status status = expect(line, length, CVL_LINE_REC, &parts);
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
        status = cvl_fields_read(record_fields, COUNT(record_fields), parts.fields.at, parts.fields.length, record);
    return status;
}

cvl_status cvl_want_parse(const char *line, size_t length, uint64_t *environment, cvl_state *state,
                          char problem[CVL_CONV_TEXT_MAX])
{
    struct parts parts;
    cvl_status status = expect(line, length, CVL_LINE_WANT, &parts);
    if (status != CVL_OK)
        return status;
    *environment = parts.id;
    status = read_state(&parts.key[1], state);
    if (status == CVL_OK)
        status = copy_word(&parts.key[2], "problem", problem, CVL_CONV_TEXT_MAX);
    return status;
}
