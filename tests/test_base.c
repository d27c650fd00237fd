/* SPDX-License-Identifier: Apache-2.0
 * base/: errors, memory, hashes, texts, random numbers, ISA levels, contexts, profiles, and the machine's rates. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/ctx.h"
#include "base/hash.h"
#include "base/profile.h"
#include "base/random.h"
#include "base/text.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void *fail_elsewhere(void *arg)
{
    cvl_fail(CVL_EIO, "another thread's sentence");
    return NULL;
}

static void errors_are_kept_per_thread(void **state)
{
    pthread_t thread;
    assert_int_equal(cvl_fail(CVL_EINVAL, "c is %d, expected %s", 7, "a multiple of 2"), CVL_EINVAL);
    assert_string_equal(cvl_last_error(), "c is 7, expected a multiple of 2");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    assert_string_equal(cvl_last_error(), "c is 7, expected a multiple of 2");
    cvl_fail(CVL_EIO, "outer: %s", cvl_last_error());
    assert_string_equal(cvl_last_error(), "outer: c is 7, expected a multiple of 2");
}

static void long_errors_are_cut(void **state)
{
    char text[2 * CVL_SENTENCE_MAX];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    cvl_fail(CVL_EINVAL, "%s", text);
    assert_int_equal(strlen(cvl_last_error()), CVL_SENTENCE_MAX - 1);
}

static void reasons_are_not_errors(void **state)
{
    cvl_fail(CVL_EINVAL, "the error");
    assert_string_equal(cvl_reason("stride is %d", 2), "stride is 2");
    assert_string_equal(cvl_reason("still: %s", cvl_reason("groups")), "still: groups");
    assert_string_equal(cvl_last_error(), "the error");
}

static void statuses_have_names(void **state)
{
    assert_string_equal(cvl_status_name(CVL_OK), "CVL_OK");
    assert_string_equal(cvl_status_name(CVL_ENOTFOUND), "CVL_ENOTFOUND");
    assert_non_null(cvl_status_name((cvl_status)99));
    assert_non_null(cvl_status_name((cvl_status)-1));
    assert_non_null(strchr(cvl_version(), '.'));
}

static void memory_is_aligned(void **state)
{
    static const size_t sizes[] = { 0, 1, 63, 64, 65, 4096, 1000003 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *memory = cvl_alloc(sizes[i]), *cleared = cvl_calloc(sizes[i], 1);
        assert_non_null(memory);
        assert_non_null(cleared);
        assert_int_equal((uintptr_t)memory % CVL_ALIGN, 0);
        assert_int_equal((uintptr_t)cleared % CVL_ALIGN, 0);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(cleared[j], 0);
        memset(memory, 1, sizes[i]);
        cvl_free(memory);
        cvl_free(cleared);
    }
    cvl_free(NULL);
    assert_null(cvl_alloc(SIZE_MAX));
    assert_null(cvl_calloc(SIZE_MAX / 2, 3));
    assert_int_equal(cvl_round_up(0, 64), 0);
    assert_int_equal(cvl_round_up(65, 64), 128);
    assert_int_equal(cvl_round_up(10, 3), 12);
}

/* The check value of the CRC catalogue, and FNV-1a's published vectors. */
static void hashes_are_the_published_ones(void **state)
{
    assert_int_equal(cvl_crc32("123456789", 9), 0xcbf43926);
    assert_int_equal(cvl_crc32("", 0), 0);
    assert_int_equal(cvl_crc32("a", 1), 0xe8b7be43);
    assert_true(cvl_hash_bytes("", 0) == 0xcbf29ce484222325u);
    assert_true(cvl_hash_bytes("a", 1) == 0xaf63dc4c8601ec8cu);
    assert_true(cvl_hash_bytes("foobar", 6) == 0x85944171f73967e8u);
    assert_true(cvl_hash_mix(1, 2) != cvl_hash_mix(2, 1));
}

static void text_is_appended_and_cut(void **state)
{
    char buffer[8];
    struct cvl_text text = { buffer, sizeof buffer, 0 };
    cvl_text_add(&text, "%s", "abc");
    cvl_text_add(&text, "%d", 42);
    assert_string_equal(buffer, "abc42");
    assert_int_equal(text.used, 5);
    cvl_text_add(&text, "%s", "defgh");
    assert_string_equal(buffer, "abc42de");
    assert_int_equal(text.used, 10);
    cvl_text_add(&text, "%s", "x");
    assert_int_equal(text.used, 11);
    assert_string_equal(buffer, "abc42de");
}

static void whole_numbers_are_read_strictly(void **state)
{
    static const struct { const char *text; bool good; long long value; } rows[] = {
        { "0", true, 0 },     { "-1", true, -1 },   { "007", true, 7 },   { "", false, 0 },     { "-", false, 0 },
        { "+1", false, 0 },   { " 1", false, 0 },   { "1 ", false, 0 },   { "1.0", false, 0 },  { "0x10", false, 0 },
        { "1e3", false, 0 },  { "--1", false, 0 },  { "12a", false, 0 },
        { "9223372036854775807", true, INT64_MAX },      { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 },             { "-9223372036854775809", false, 0 },
        { "99999999999999999999999", false, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        long long value = 77;
        assert_int_equal(cvl_text_int(rows[i].text, strlen(rows[i].text), INT64_MIN, INT64_MAX, &value), rows[i].good);
        assert_true(value == (rows[i].good ? rows[i].value : 77));
    }
    long long value = 77;
    assert_false(cvl_text_int("5", 1, 6, 9, &value));
    assert_false(cvl_text_int("10", 2, 6, 9, &value));
    assert_int_equal(value, 77);
    assert_true(cvl_text_int("69", 1, 6, 9, &value));
    assert_int_equal(value, 6);
}

static void real_numbers_are_read_in_any_locale(void **state)
{
    static const struct { const char *text; bool good; double value; } rows[] = {
        { "1.5", true, 1.5 },  { "-2", true, -2 },   { ".5", true, 0.5 },  { "5.", true, 5 },    { "1e-3", true, 1e-3 },
        { "1,5", false, 0 },   { "", false, 0 },     { "nan", false, 0 },  { "inf", false, 0 },  { "1e999", false, 0 },
        { "0x1p3", false, 0 }, { "1.5x", false, 0 }, { " 1", false, 0 },   { "1..5", false, 0 }, { "e5", false, 0 },
        { "1.2345678901234567890123456789012345678901234567890123456789012345678901234567890123", false, 0 },
    };
    static const char *const locales[] = { "C", "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8" };
    for (size_t l = 0; l < sizeof locales / sizeof *locales; l++) {
        if (!setlocale(LC_NUMERIC, locales[l]))
            continue;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            double value = 77;
            assert_int_equal(cvl_text_double(rows[i].text, strlen(rows[i].text), &value), rows[i].good);
            assert_true(value == (rows[i].good ? rows[i].value : 77));
        }
    }
    setlocale(LC_NUMERIC, "C");
    double value = 0;
    assert_true(cvl_text_double("1.59", 3, &value));
    assert_true(value == 1.5);
    assert_false(cvl_text_double("1\0" "5", 3, &value));
}

static void lists_hold_whole_words(void **state)
{
    assert_true(cvl_text_listed("direct,im2col", "im2col"));
    assert_true(cvl_text_listed("direct,im2col", "direct"));
    assert_false(cvl_text_listed("direct,im2col", "im2"));
    assert_false(cvl_text_listed("direct,im2col", "direct,im2col"));
    assert_false(cvl_text_listed("", "direct"));
    assert_false(cvl_text_listed(NULL, "direct"));
}

/* splitmix64's first numbers from 0 are published with it. */
static void random_numbers_are_the_same_everywhere(void **state)
{
    struct cvl_random random = { 0 };
    assert_true(cvl_random_next(&random) == 0xe220a8397b1dcdafu);
    assert_true(cvl_random_next(&random) == 0x6e789e6aa1b965f4u);
    bool seen[7] = { false };
    for (int i = 0; i < 1000; i++) {
        const int below = cvl_random_below(&random, 7);
        const double unit = cvl_random_unit(&random);
        assert_in_range(below, 0, 6);
        seen[below] = true;
        assert_true(unit >= 0 && unit < 1);
        assert_int_equal(cvl_random_below(&random, 1), 0);
    }
    for (int i = 0; i < 7; i++)
        assert_true(seen[i]);
}

static void isa_levels_have_names(void **state)
{
    for (int isa = 0; isa < CVL_ISA_COUNT; isa++) {
        assert_int_equal(cvl_isa_parse(cvl_isa_name((enum cvl_isa)isa)), isa);
        assert_true(cvl_isa_vector_bytes((enum cvl_isa)isa) >= 16);
    }
    assert_int_equal(cvl_isa_parse("generic"), 0);
    assert_int_equal(cvl_isa_parse("GENERIC"), -1);
    assert_int_equal(cvl_isa_parse(""), -1);
    assert_true(cvl_isa_best() < CVL_ISA_COUNT);
    assert_true(*cvl_cpu_info()->model != '\0');
    assert_true(cvl_cpu_info()->processors >= 1);
}

static cvl_status create(const char *isa, int threads, cvl_ctx **ctx)
{
    cvl_ctx_options options;
    cvl_ctx_options_init(&options);
    options.isa = isa;
    options.threads = threads;
    return cvl_ctx_create(&options, ctx);
}

static void isa_can_be_lowered(void **state)
{
    cvl_ctx *ctx;
    for (int isa = 0; isa < CVL_ISA_COUNT; isa++) {
        const enum cvl_isa expected = (enum cvl_isa)isa < cvl_isa_best() ? (enum cvl_isa)isa : cvl_isa_best();
        assert_int_equal(create(cvl_isa_name((enum cvl_isa)isa), 1, &ctx), CVL_OK);
        assert_string_equal(cvl_ctx_isa(ctx), cvl_isa_name(expected));
        cvl_ctx_destroy(ctx);
    }
    assert_int_equal(create("sse9", 1, &ctx), CVL_EINVAL);
    assert_null(ctx);
    assert_non_null(strstr(cvl_last_error(), "sse9"));
    assert_non_null(strstr(cvl_last_error(), "generic"));
}

static void isa_comes_from_the_environment(void **state)
{
    cvl_ctx *ctx;
    const char *kept = getenv("CVL_ISA");
    char before[32] = "";
    strncpy(before, kept ? kept : "", sizeof before - 1);
    setenv("CVL_ISA", "generic", 1);
    assert_int_equal(create(NULL, 1, &ctx), CVL_OK);
    assert_string_equal(cvl_ctx_isa(ctx), "generic");
    cvl_ctx_destroy(ctx);
    assert_int_equal(create(cvl_isa_name(cvl_isa_best()), 1, &ctx), CVL_OK);   /* the option is asked first */
    assert_string_equal(cvl_ctx_isa(ctx), cvl_isa_name(cvl_isa_best()));
    cvl_ctx_destroy(ctx);
    setenv("CVL_ISA", "turbo", 1);
    assert_int_equal(create(NULL, 1, &ctx), CVL_EINVAL);
    assert_non_null(strstr(cvl_last_error(), "CVL_ISA is 'turbo'"));
    setenv("CVL_ISA", "", 1);
    assert_int_equal(create(NULL, 1, &ctx), CVL_OK);
    assert_string_equal(cvl_ctx_isa(ctx), cvl_isa_name(cvl_isa_best()));
    cvl_ctx_destroy(ctx);
    if (kept)
        setenv("CVL_ISA", before, 1);
    else
        unsetenv("CVL_ISA");
}

/* A program compiled before a field was added passes a smaller struct: what it lacks is the default. */
static void options_may_be_smaller(void **state)
{
    cvl_ctx *ctx;
    cvl_ctx_options options;
    memset(&options, 0x55, sizeof options);
    cvl_ctx_options_init_size(&options, offsetof(cvl_ctx_options, isa));
    options.threads = 2;
    assert_int_equal(cvl_ctx_create(&options, &ctx), CVL_OK);
    assert_int_equal(cvl_ctx_threads(ctx), 2);
    assert_null(ctx->parallel_for);
    assert_null(ctx->stream);
    cvl_ctx_destroy(ctx);
    static const size_t wrong[] = { 0, 1, sizeof options + 8, SIZE_MAX };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cvl_ctx_options_init(&options);
        options.size = wrong[i];
        assert_int_equal(cvl_ctx_create(&options, &ctx), CVL_EINVAL);
        assert_null(ctx);
    }
}

static void contexts_refuse_nonsense(void **state)
{
    cvl_ctx *ctx;
    cvl_ctx_options options;
    assert_int_equal(create(NULL, -1, &ctx), CVL_EINVAL);
    assert_non_null(strstr(cvl_last_error(), "-1"));
    assert_int_equal(create(NULL, 1 << 20, &ctx), CVL_EINVAL);
    cvl_ctx_options_init(&options);
    options.device = CVL_CUDA;
    options.device_index = 1000;
    assert_int_equal(cvl_ctx_create(&options, &ctx), CVL_EDEVICE);
    options.device = CVL_CPU;
    options.device_index = 3;
    assert_int_equal(cvl_ctx_create(&options, &ctx), CVL_EDEVICE);
    assert_null(ctx);
    assert_int_equal(cvl_ctx_create(NULL, &ctx), CVL_OK);
    cvl_ctx_destroy(ctx);
    cvl_ctx_destroy(NULL);
}

static void keep_sentence(void *arg, cvl_log_level level, const char *sentence)
{
    strncat(arg, sentence, 63);
    strcat(arg, level == CVL_LOG_WARNING ? "!" : ".");
}

static void log_goes_to_the_callback(void **state)
{
    char kept[160] = "";
    cvl_ctx *ctx;
    cvl_ctx_options options;
    cvl_ctx_options_init(&options);
    options.log = keep_sentence;
    options.log_arg = kept;
    assert_int_equal(cvl_ctx_create(&options, &ctx), CVL_OK);
    cvl_log(ctx, CVL_LOG_INFO, "%d lines", 3);
    cvl_log(ctx, CVL_LOG_WARNING, "bad");
    cvl_log(NULL, CVL_LOG_WARNING, "nobody hears this");
    assert_string_equal(kept, "3 lines.bad!");
    cvl_ctx_destroy(ctx);
}

static void profile_adds_up(void **state)
{
    struct cvl_profile profile;
    const double start = cvl_now();
    cvl_phase("not profiled");
    cvl_profile_start(&profile);
    for (int i = 0; i < 2; i++) {
        cvl_phase("lower");
        for (const double end = cvl_now() + 2e-3; cvl_now() < end;)
            ;
        cvl_phase("gemm");
        cvl_phase(NULL);
    }
    cvl_profile_stop();
    cvl_phase("after");
    assert_int_equal(profile.count, 2);
    assert_string_equal(profile.name[0], "lower");
    assert_string_equal(profile.name[1], "gemm");
    assert_true(profile.seconds[0] >= 4e-3);
    assert_true(profile.seconds[1] >= 0 && profile.seconds[0] + profile.seconds[1] <= cvl_now() - start);
}

/* Of a loop that a compiler left out, the rate would be absurd; 20 TFLOP/s is a hundred times one core's. */
static void rates_are_of_this_world(void **state)
{
    for (int isa = 0; isa <= (int)cvl_isa_best(); isa++) {
        cvl_ctx *ctx;
        assert_int_equal(create(cvl_isa_name((enum cvl_isa)isa), 2, &ctx), CVL_OK);
        assert_false(ctx->rates.measured);
        const struct cvl_rates nominal = ctx->rates, measured = cvl_rates_measure(ctx, 0.01, isa == 0);
        assert_true(measured.measured);
        assert_true(measured.f32_flops > 1e7 && measured.f32_flops < 2e13);
        assert_true(measured.s8_ops > 1e7 && measured.s8_ops < 1e14);
        assert_true(measured.copy_l2 > 1e6 && measured.copy_l2 < 1e13);
        assert_true(measured.copy_l3 > 1e6 && measured.copy_l3 < 1e13);
        assert_true(measured.copy_dram > 1e6 && measured.copy_dram < 1e13);
        assert_true(nominal.f32_flops > 1e9 && nominal.s8_ops >= nominal.f32_flops);
        assert_true(nominal.copy_l2 > nominal.copy_l3 && nominal.copy_l3 > nominal.copy_dram && nominal.copy_dram > 0);
        cvl_ctx_destroy(ctx);
    }
    assert_true(cvl_clock_resolution() > 0 && cvl_clock_resolution() < 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_kept_per_thread),    cmocka_unit_test(long_errors_are_cut),
        cmocka_unit_test(reasons_are_not_errors),        cmocka_unit_test(statuses_have_names),
        cmocka_unit_test(memory_is_aligned),             cmocka_unit_test(hashes_are_the_published_ones),
        cmocka_unit_test(text_is_appended_and_cut),      cmocka_unit_test(whole_numbers_are_read_strictly),
        cmocka_unit_test(real_numbers_are_read_in_any_locale), cmocka_unit_test(lists_hold_whole_words),
        cmocka_unit_test(random_numbers_are_the_same_everywhere), cmocka_unit_test(isa_levels_have_names),
        cmocka_unit_test(isa_can_be_lowered),            cmocka_unit_test(isa_comes_from_the_environment),
        cmocka_unit_test(options_may_be_smaller),        cmocka_unit_test(contexts_refuse_nonsense),
        cmocka_unit_test(log_goes_to_the_callback),      cmocka_unit_test(profile_adds_up),
        cmocka_unit_test(rates_are_of_this_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
