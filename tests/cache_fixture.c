/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_fixture.h"

#include "base/hash.h"

#include <dirent.h>
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct cvl_random fixture_random(void)
{
    const char *seed = getenv("CVL_TEST_SEED");
    struct cvl_random random = { seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL) };
    print_message("seed %llu\n", (unsigned long long)random.state);
    return random;
}

void fixture_folder(char path[PATH_BYTES])
{
    const char *base = getenv("TMPDIR");
    snprintf(path, PATH_BYTES, "%s/convlab-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(path));
}

static int remove_one(const char *path, const struct stat *at, int type, struct FTW *walk)
{
    return remove(path);
}

void fixture_remove(const char *path)
{
    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

const char *fixture_in(const char *folder, const char *name)
{
    static char paths[8][2 * PATH_BYTES];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

int fixture_count(const char *folder, const char *suffix)
{
    int count = 0;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory));) {
        const size_t length = strlen(entry->d_name), tail = strlen(suffix);
        count += length >= tail && strcmp(entry->d_name + length - tail, suffix) == 0;
    }
    closedir(directory);
    return count;
}

void fixture_write(const char *path, const void *bytes, size_t count)
{
    unlink(path);   /* a file system may make it slow to write over one */
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

struct bytes fixture_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    struct bytes bytes = { NULL, (size_t)ftell(file) };
    rewind(file);
    bytes.at = malloc(bytes.count + 1);
    assert_non_null(bytes.at);
    assert_int_equal(fread(bytes.at, 1, bytes.count, file), bytes.count);
    bytes.at[bytes.count] = '\0';
    fclose(file);
    return bytes;
}

struct cvl_line_set *fixture_set(void)
{
    struct cvl_line_set *set;
    assert_int_equal(cvl_line_set_create(&set), CVL_OK);
    return set;
}

struct bytes fixture_file_of(const struct cvl_line_set *set, const char *path)
{
    assert_int_equal(cvl_line_set_write(set, path), CVL_OK);
    return fixture_read(path);
}

void fixture_same_sets(const struct cvl_line_set *a, const struct cvl_line_set *b, const char *path)
{
    const struct bytes x = fixture_file_of(a, path), y = fixture_file_of(b, path);
    assert_int_equal(x.count, y.count);
    assert_memory_equal(x.at, y.at, x.count);
    free(x.at);
    free(y.at);
}

/* Half of them round, as a person writes them; half with all bits of a double; a few not finite or extreme. */
static double wild_double(struct cvl_random *random)
{
    static const double special[] = { 0, INFINITY, 5e-324, 1.7976931348623157e308, 1e22, 1e23, 0.1, 0x1p53 };
    const int kind = cvl_random_below(random, 16);
    if (kind == 0)
        return special[cvl_random_below(random, (int)(sizeof special / sizeof *special))];
    if (kind < 8)
        return cvl_random_below(random, 1000000) / 1000.0;
    return ldexp(cvl_random_unit(random), cvl_random_below(random, 120) - 60);
}

static void wild_text(struct cvl_random *random, char *text, size_t size)
{
    const int length = cvl_random_below(random, 3) ? cvl_random_below(random, (int)size) : 0;
    for (int i = 0; i < length; i++)
        text[i] = (char)(1 + cvl_random_below(random, 255));
    text[length] = '\0';
}

struct cvl_record fixture_wild_record(struct cvl_random *random)
{
    struct cvl_record record = {
        .environment = cvl_random_next(random), .state = (cvl_state)cvl_random_below(random, 3),
        .outcome = (cvl_outcome)cvl_random_below(random, CVL_OUTCOME_FAILED + 1),
        .revision = cvl_random_below(random, 5), .samples = (int)(cvl_random_next(random) >> 33),
        .median_ms = wild_double(random), .min_ms = wild_double(random), .ci_low_ms = wild_double(random),
        .ci_high_ms = wild_double(random), .estimate_ms = wild_double(random), .pack_ms = wild_double(random),
        .rel_error = cvl_random_below(random, 4) ? wild_double(random) : -1,
        .l2_error = cvl_random_below(random, 4) ? wild_double(random) : -1,
        .workspace_bytes = cvl_random_next(random) >> cvl_random_below(random, 64),
        .packed_bytes = cvl_random_next(random) >> cvl_random_below(random, 64),
        .deterministic = cvl_random_below(random, 2), .when = (int64_t)(cvl_random_next(random) >> 1),
        .seed = cvl_random_next(random),
    };
    snprintf(record.problem, sizeof record.problem, "fwd:f32:nchw:n%dc64h56w56k64r3s3",
             cvl_random_below(random, 100000));
    snprintf(record.candidate, sizeof record.candidate, "im2col:rows=%d", cvl_random_below(random, 100000));
    wild_text(random, record.command, sizeof record.command);
    return record;
}

struct cvl_record fixture_rival_record(struct cvl_random *random)
{
    struct cvl_record record = {
        .environment = (uint64_t)cvl_random_below(random, 2), .state = (cvl_state)cvl_random_below(random, 2),
        .revision = cvl_random_below(random, 2), .samples = cvl_random_below(random, 3),
        .when = cvl_random_below(random, 3), .median_ms = cvl_random_below(random, 12) / 8.0,
    };
    snprintf(record.problem, sizeof record.problem, "problem%d", cvl_random_below(random, 3));
    snprintf(record.candidate, sizeof record.candidate, "candidate%d", cvl_random_below(random, 3));
    return record;
}

struct cvl_record fixture_numbered_record(int number)
{
    struct cvl_record record = {
        .environment = 0x0123456789abcdef, .revision = 1, .samples = 31, .when = 1763900000 + number,
        .median_ms = 0.5 + number * 0.125, .rel_error = 1e-7, .l2_error = 1e-8, .deterministic = true,
    };
    snprintf(record.problem, sizeof record.problem, "fwd:f32:nchw:n%dc64h56w56k64r3s3:pad1", number);
    snprintf(record.candidate, sizeof record.candidate, "direct");
    return record;
}

size_t fixture_seal(const char *text, char line[CVL_LINE_MAX])
{
    const int length = snprintf(line, CVL_LINE_MAX, "%s crc=%08x", text, (unsigned)cvl_crc32(text, strlen(text)));
    assert_in_range(length, 14, CVL_LINE_MAX - 1);
    return (size_t)length;
}

static void keep_sentence(void *arg, cvl_log_level level, const char *sentence)
{
    struct fixture_log *log = arg;
    log->count += level == CVL_LOG_WARNING;
    snprintf(log->last, sizeof log->last, "%s", sentence);
}

cvl_ctx *fixture_ctx(struct fixture_log *log)
{
    cvl_ctx_options options;
    cvl_ctx *ctx;
    cvl_ctx_options_init(&options);
    options.threads = 1;
    options.log = keep_sentence;
    options.log_arg = log;
    *log = (struct fixture_log){ .count = 0 };
    assert_int_equal(cvl_ctx_create(&options, &ctx), CVL_OK);
    return ctx;
}
