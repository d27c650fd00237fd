/* SPDX-License-Identifier: Apache-2.0
 * Lines of a cache and sets of them: what is printed comes back, what is damaged is found, and merging does not depend
 * on order. Only docs/cache-format.md may say what these lines look like. */
#include "cache_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))

static char folder[PATH_BYTES];

static int make_folder(void **state)
{
    fixture_folder(folder);
    return 0;
}

static int remove_folder(void **state)
{
    fixture_remove(folder);
    return 0;
}

/* ---- lines ---- */

static void documented_lines_are_what_is_printed(void **state)
{
    static const char env[] = "env 9d60bce96322078f cpu=AMD%20EPYC%207B13 isa=avx2 threads=8 compiler=gcc%2012.2.0 "
        "lib=convlab%200.1.0 l1d=32768 crc=6592bbcf";
    static const char rec[] = "rec 9d60bce96322078f hot fwd:f32:nchw:n1c64h56w56k64r3s3:pad1:const im2col:rows=14 "
        "rev=1 n=31 when=1763900005 outcome=ok ms=0.814 min=0.809 lo=0.812 hi=0.817 est=0.9 err=2.1e-07 l2=1.3e-07 "
        "ws=1806336 packed=147456 det=1 seed=42 by=conv-bench crc=a052eaa0";
    static const char want[] = "want 9d60bce96322078f hot fwd:f32:nchw:n2c64h56w56k64r3s3:pad1:const crc=b061c900";
    const struct cvl_environment environment = { .cpu = "AMD EPYC 7B13", .isa = "avx2", .threads = 8,
        .compiler = "gcc 12.2.0", .library = "convlab 0.1.0", .l1d = 32768 };
    const struct cvl_record record = { .environment = cvl_environment_id(&environment),
        .problem = "fwd:f32:nchw:n1c64h56w56k64r3s3:pad1:const", .candidate = "im2col:rows=14", .revision = 1,
        .samples = 31, .when = 1763900005, .median_ms = 0.814, .min_ms = 0.809, .ci_low_ms = 0.812, .ci_high_ms = 0.817,
        .estimate_ms = 0.9, .rel_error = 2.1e-7, .l2_error = 1.3e-7, .workspace_bytes = 1806336,
        .packed_bytes = 147456, .deterministic = true, .seed = 42, .command = "conv-bench" };
    char line[CVL_LINE_MAX];
    assert_int_equal(cvl_environment_print(&environment, line), strlen(env));
    assert_string_equal(line, env);
    assert_int_equal(cvl_record_print(&record, line), strlen(rec));
    assert_string_equal(line, rec);
    assert_int_equal(cvl_want_print(record.environment, CVL_HOT, "fwd:f32:nchw:n2c64h56w56k64r3s3:pad1:const", line),
                     strlen(want));
    assert_string_equal(line, want);
}

static void assert_same_double(double a, double b, const char *line)
{
    if (!(a == b))
        fail_msg("%.17g came back as %.17g from %s", a, b, line);
}

static void assert_same_record(const struct cvl_record *a, const struct cvl_record *b, const char *line)
{
    const double x[] = { a->median_ms, a->min_ms, a->ci_low_ms, a->ci_high_ms, a->estimate_ms, a->pack_ms, a->rel_error,
                         a->l2_error };
    const double y[] = { b->median_ms, b->min_ms, b->ci_low_ms, b->ci_high_ms, b->estimate_ms, b->pack_ms, b->rel_error,
                         b->l2_error };
    for (int i = 0; i < LENGTH(x); i++)
        assert_same_double(x[i], y[i], line);
    assert_true(a->environment == b->environment && a->state == b->state && a->outcome == b->outcome);
    assert_true(a->revision == b->revision && a->samples == b->samples && a->when == b->when && a->seed == b->seed);
    assert_true(a->workspace_bytes == b->workspace_bytes && a->packed_bytes == b->packed_bytes);
    assert_int_equal(a->deterministic, b->deterministic);
    assert_string_equal(a->problem, b->problem);
    assert_string_equal(a->candidate, b->candidate);
    assert_string_equal(a->command, b->command);
}

static void random_records_come_back(void **state)
{
    struct cvl_random random = fixture_random();
    for (int i = 0; i < 20000; i++) {
        const struct cvl_record record = fixture_wild_record(&random);
        struct cvl_record back;
        char line[CVL_LINE_MAX], again[CVL_LINE_MAX];
        const size_t length = cvl_record_print(&record, line);
        if (length == 0 || cvl_record_parse(line, length, &back) != CVL_OK)
            fail_msg("%s: %s", cvl_last_error(), line);
        assert_same_record(&record, &back, line);
        assert_int_equal(cvl_record_print(&back, again), length);
        assert_string_equal(line, again);
    }
}

static void environments_come_back(void **state)
{
    const struct cvl_environment bare = { .threads = 1 };
    const struct cvl_environment full = { "A CPU  with % and \t and \xc3\xa4", "avx512vnni", 96, "a GPU",
        "9.1.0", "clang 14", "convlab 0.1.0", "550.54", "blue", 49152, 2097152, 110100480, 90, 132, 52428800 };
    const struct cvl_environment *both[] = { &bare, &full };
    for (int i = 0; i < 2; i++) {
        struct cvl_environment back;
        char line[CVL_LINE_MAX];
        uint64_t id;
        const size_t length = cvl_environment_print(both[i], line);
        assert_int_not_equal(length, 0);
        assert_int_equal(cvl_environment_parse(line, length, &back, &id), CVL_OK);
        assert_true(id == cvl_environment_id(both[i]));
        assert_memory_equal(&back, both[i], sizeof back);
    }
}

static void only_matched_fields_make_the_id(void **state)
{
    const struct cvl_environment base = { .cpu = "cpu", .isa = "avx2", .threads = 2 };
    struct cvl_environment e = base;
    strcpy(e.compiler, "gcc 13");
    strcpy(e.library, "convlab 9");
    strcpy(e.driver, "1");
    strcpy(e.host, "red");
    e.l1d = e.l2 = e.l3 = e.gpu_l2 = 7;
    e.capability = e.multiprocessors = 8;
    assert_true(cvl_environment_id(&e) == cvl_environment_id(&base));
    struct cvl_environment other[] = { base, base, base, base, base };
    strcpy(other[0].cpu, "cpv");
    strcpy(other[1].isa, "avx512");
    other[2].threads = 3;
    strcpy(other[3].gpu, "gpu");
    strcpy(other[4].cudnn, "9");
    for (int i = 0; i < LENGTH(other); i++)
        assert_false(cvl_environment_id(&other[i]) == cvl_environment_id(&base));
}

static void the_locale_changes_nothing(void **state)
{
    static const char *const names[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8", "de_DE", "fr_FR", "ru_RU.UTF-8" };
    struct cvl_random random = { 1 };
    const struct cvl_record record = fixture_wild_record(&random);
    char line[CVL_LINE_MAX], there[CVL_LINE_MAX];
    struct cvl_record back;
    const char *found = NULL;
    cvl_record_print(&record, line);
    for (int i = 0; i < LENGTH(names) && !found; i++)
        found = setlocale(LC_ALL, names[i]);
    if (!found || localeconv()->decimal_point[0] == '.') {
        print_message("skipped: this machine has no locale with another decimal point\n");
        skip();
    }
    const size_t length = cvl_record_print(&record, there);
    const cvl_status status = cvl_record_parse(there, length, &back);
    setlocale(LC_ALL, "C");
    assert_int_equal(status, CVL_OK);
    assert_string_equal(line, there);
    assert_same_record(&record, &back, line);
}

static void what_is_no_line_is_not_printed(void **state)
{
    const struct cvl_record right = fixture_numbered_record(1);
    struct cvl_record wrong[6] = { right, right, right, right, right, right };
    char line[CVL_LINE_MAX];
    strcpy(wrong[0].problem, "two words");
    wrong[1].problem[0] = '\0';
    strcpy(wrong[2].candidate, "line\nbreak");
    wrong[3].revision = -1;
    wrong[4].when = -1;
    wrong[5].samples = -2;
    assert_int_not_equal(cvl_record_print(&right, line), 0);
    for (int i = 0; i < LENGTH(wrong); i++)
        assert_int_equal(cvl_record_print(&wrong[i], line), 0);
    assert_int_equal(cvl_want_print(1, CVL_HOT, "", line), 0);
}

static void every_flipped_bit_is_found(void **state)
{
    struct cvl_random random = fixture_random();
    for (int round = 0; round < 20; round++) {
        const struct cvl_record record = fixture_wild_record(&random);
        struct cvl_line_set *set = fixture_set();
        char line[CVL_LINE_MAX];
        const size_t length = cvl_record_print(&record, line);
        for (size_t bit = 0; bit < 8 * length; bit++) {
            line[bit / 8] ^= (char)(1 << bit % 8);
            if (cvl_line_set_add(set, line, length, NULL) != CVL_ECORRUPT)
                fail_msg("bit %zu of %s is not missed", bit, line);
            line[bit / 8] ^= (char)(1 << bit % 8);
        }
        assert_int_equal(cvl_line_set_count(set), 0);
        assert_int_equal(cvl_line_set_add(set, line, length, NULL), CVL_OK);
        cvl_line_set_destroy(set);
    }
}

/* With a right checksum. */
static void badly_formed_lines_say_why(void **state)
{
#define REC "rec 0123456789abcdef hot problem candidate"
    static const struct { const char *text, *why; } cases[] = {
        { "rec", "cut short" },
        { "rec 0123456789abcdef hot problem", "cut short" },
        { "rec 0123456789abcde hot problem candidate", "hexadecimal" },
        { "rec 0123456789ABCDEF hot problem candidate", "hexadecimal" },
        { "rec  0123456789abcdef hot problem candidate", "cut short" },
        { " " REC, "no kind" },
        { REC " word", "'word' is not NAME=VALUE" },
        { REC " =1", "is not NAME=VALUE" },
        { REC "  n=1", "is not NAME=VALUE" },
        { REC " n=1 ", "is not NAME=VALUE" },
        { REC " n=1 n=2", "n is given twice" },
        { REC " rev=-1", "rev is '-1', expected a whole number" },
        { REC " rev=", "rev is ''" },
        { REC " n=2147483648", "expected a whole number" },
        { REC " seed=18446744073709551616", "expected a whole number" },
        { REC " det=2", "expected a whole number" },
        { REC " ms=abc", "ms is 'abc', expected a number" },
        { REC " ms=1,5", "expected a number" },
        { REC " ms=nan", "expected a number" },
        { REC " ms=0x10", "expected a number" },
        { REC " ms=1e", "expected a number" },
        { REC " ms=.5", "expected a number" },
        { REC " err=-1", "expected a number of at least 0" },
        { REC " by=%2", "escapes" },
        { REC " by=%zz", "escapes" },
        { REC " by=%00", "escapes" },
        { REC " by=a\tb", "control character" },
        { "env 0123456789abcdef threads=x", "threads is 'x'" },
        { "want 0123456789abcdef hot", "cut short" },
        { "want 0123456789abcdef hot problem", NULL },
        { "env 0123456789abcdef", NULL },
        { REC, NULL },
        { REC " ms=1 unknown=x outcome=later", NULL },
        { "later anything goes", NULL },
    };
#undef REC
    for (int i = 0; i < LENGTH(cases); i++) {
        char line[CVL_LINE_MAX];
        enum cvl_line_kind kind;
        size_t key;
        const size_t length = fixture_seal(cases[i].text, line);
        const cvl_status status = cvl_line_check(line, length, &kind, &key);
        if (status != (cases[i].why ? CVL_ECORRUPT : CVL_OK) ||
            (cases[i].why && !strstr(cvl_last_error(), cases[i].why)))
            fail_msg("'%s': status %d, '%s'", cases[i].text, status, cvl_last_error());
    }
}

static void random_bytes_harm_nobody(void **state)
{
    struct cvl_random random = fixture_random();
    for (int i = 0; i < 20000; i++) {
        static const char alphabet[] = "rec env want 0123456789abcdef hot p c n= ms= rev= by=% crc=\r\t\xff";
        char text[160], line[CVL_LINE_MAX];
        struct cvl_environment environment;
        struct cvl_record record;
        enum cvl_line_kind kind;
        cvl_state at;
        size_t key;
        uint64_t id;
        const int start = snprintf(text, sizeof text, "%s", i % 3 ? "rec 0123456789abcdef hot p c " : "");
        int length = start;
        while (length < start + cvl_random_below(&random, 100) + 1)
            text[length++] = alphabet[cvl_random_below(&random, (int)sizeof alphabet - 1)];
        text[length] = '\0';
        const size_t sealed = fixture_seal(text, line);
        if (cvl_line_check(line, sealed, &kind, &key) != CVL_OK)
            continue;
        char problem[CVL_CONV_TEXT_MAX];
        assert_true(key <= sealed);
        cvl_record_parse(line, sealed, &record);
        cvl_environment_parse(line, sealed, &environment, &id);
        cvl_want_parse(line, sealed, &id, &at, problem);
    }
}

/* ---- the order of a merge ---- */

static void greater_rank_wins(void **state)
{
    static const struct { int revision, samples, when; double ms; } ranks[] = {   /* ascending */
        { 1, 9, 9, 1 }, { 2, 8, 9, 1 }, { 2, 10, 7, 1 }, { 2, 10, 11, 1 }, { 2, 10, 11, 2 },
    };
    for (int a = 0; a < LENGTH(ranks); a++)
        for (int b = 0; b < LENGTH(ranks); b++) {
            struct cvl_line_set *set = fixture_set();
            struct cvl_record record = fixture_numbered_record(1);
            char line[CVL_LINE_MAX];
            bool changed;
            for (int i = 0; i < 2; i++) {
                const int rank = i ? b : a;
                record.revision = ranks[rank].revision;
                record.samples = ranks[rank].samples;
                record.when = ranks[rank].when;
                record.median_ms = ranks[rank].ms;
                const size_t length = cvl_record_print(&record, line);
                assert_int_equal(cvl_line_set_covers(set, line, length), i && b <= a);
                assert_int_equal(cvl_line_set_add(set, line, length, &changed), CVL_OK);
                assert_int_equal(changed, !i || b > a);
            }
            struct cvl_line kept;
            assert_int_equal(cvl_line_set_records(set, record.state, record.problem, &kept, 1), 1);
            assert_int_equal(cvl_record_parse(kept.text, kept.length, &record), CVL_OK);
            assert_int_equal(record.samples, ranks[a > b ? a : b].samples);
            cvl_line_set_destroy(set);
        }
}

static void add_rivals(struct cvl_random *random, struct cvl_line_set *set, int count)
{
    for (int i = 0; i < count; i++) {
        const struct cvl_record record = fixture_rival_record(random);
        char line[CVL_LINE_MAX];
        size_t length = cvl_record_print(&record, line);
        if (i % 7 == 0)
            length = cvl_want_print(record.environment, record.state, record.problem, line);
        if (i % 11 == 0) {
            struct cvl_environment environment = { .threads = 2 };
            snprintf(environment.compiler, sizeof environment.compiler, "gcc %d", cvl_random_below(random, 9));
            length = cvl_environment_print(&environment, line);
        }
        if (i % 13 == 0) {
            char text[64];
            snprintf(text, sizeof text, "later thing %d", cvl_random_below(random, 4));
            length = fixture_seal(text, line);
        }
        assert_int_equal(cvl_line_set_add(set, line, length, NULL), CVL_OK);
    }
}

static struct cvl_line_set *union_of(const struct cvl_line_set *a, const struct cvl_line_set *b)
{
    struct cvl_line_set *set = fixture_set();
    assert_int_equal(cvl_line_set_merge(set, a), CVL_OK);
    assert_int_equal(cvl_line_set_merge(set, b), CVL_OK);
    return set;
}

static void merge_obeys_its_laws(void **state)
{
    struct cvl_random random = fixture_random();
    for (int round = 0; round < 20; round++) {
        struct cvl_line_set *set[3], *both[7];
        for (int i = 0; i < 3; i++)
            add_rivals(&random, set[i] = fixture_set(), cvl_random_below(&random, 120));
        both[0] = union_of(set[0], set[1]);
        both[1] = union_of(set[1], set[0]);
        both[2] = union_of(set[1], set[2]);
        both[3] = union_of(both[0], set[2]);
        both[4] = union_of(set[0], both[2]);
        both[5] = union_of(both[0], both[0]);
        both[6] = union_of(both[0], set[0]);
        fixture_same_sets(both[0], both[1], fixture_in(folder, "set.cvl"));
        fixture_same_sets(both[3], both[4], fixture_in(folder, "set.cvl"));
        fixture_same_sets(both[0], both[5], fixture_in(folder, "set.cvl"));
        fixture_same_sets(both[0], both[6], fixture_in(folder, "set.cvl"));
        for (int i = 0; i < LENGTH(both); i++)
            cvl_line_set_destroy(both[i]);
        for (int i = 0; i < 3; i++)
            cvl_line_set_destroy(set[i]);
    }
}

static void files_merge_the_same_in_any_order(void **state)
{
    enum { FILES = 6, ORDERS = 10 };
    struct cvl_random random = fixture_random();
    char paths[FILES][PATH_BYTES + 16];
    struct bytes first = { NULL, 0 };
    for (int i = 0; i < FILES; i++) {
        struct cvl_line_set *set = fixture_set();
        add_rivals(&random, set, 60);
        snprintf(paths[i], sizeof paths[i], "%s/in%d.cvl", folder, i);
        assert_int_equal(cvl_line_set_write(set, paths[i]), CVL_OK);
        cvl_line_set_destroy(set);
    }
    for (int order = 0; order < ORDERS; order++) {
        int turn[FILES];
        struct cvl_line_set *set = fixture_set();
        struct cvl_read_report report;
        for (int i = 0; i < FILES; i++) {
            const int j = cvl_random_below(&random, i + 1);
            turn[i] = turn[j];
            turn[j] = i;
        }
        for (int i = 0; i < FILES; i++)
            assert_int_equal(cvl_line_set_read(set, paths[turn[i]], &report), CVL_OK);
        const struct bytes now = fixture_file_of(set, fixture_in(folder, "set.cvl"));
        if (!first.at)
            first = now;
        assert_int_equal(now.count, first.count);
        assert_memory_equal(now.at, first.at, first.count);
        if (now.at != first.at)
            free(now.at);
        cvl_line_set_destroy(set);
    }
    free(first.at);
}

/* ---- looking up ---- */

static void records_are_found_by_problem(void **state)
{
    enum { PROBLEMS = 300, CANDIDATES = 7 };
    struct cvl_line_set *set = fixture_set();
    struct cvl_line lines[CANDIDATES + 1];
    char line[CVL_LINE_MAX];
    for (int i = 0; i < PROBLEMS * CANDIDATES; i++) {
        struct cvl_record record = fixture_numbered_record(i % PROBLEMS);
        snprintf(record.candidate, sizeof record.candidate, "direct:c=%d", CANDIDATES - i / PROBLEMS);
        record.state = i % 3 ? CVL_HOT : CVL_COLD_FILTER;
        assert_int_equal(cvl_line_set_add(set, line, cvl_record_print(&record, line), NULL), CVL_OK);
    }
    for (int i = 0; i < PROBLEMS; i++) {
        const struct cvl_record record = fixture_numbered_record(i);
        const cvl_state there = i % 3 ? CVL_HOT : CVL_COLD_FILTER;
        assert_int_equal(cvl_line_set_records(set, there, record.problem, lines, CANDIDATES + 1), CANDIDATES);
        for (int j = 0; j < CANDIDATES; j++) {
            struct cvl_record found;
            assert_int_equal(cvl_record_parse(lines[j].text, lines[j].length, &found), CVL_OK);
            assert_string_equal(found.problem, record.problem);
            assert_int_equal(found.candidate[9], '1' + j);
        }
        const struct cvl_line third = lines[2];
        assert_int_equal(cvl_line_set_records(set, there, record.problem, lines, 3), CANDIDATES);
        assert_ptr_equal(lines[2].text, third.text);
        assert_int_equal(cvl_line_set_records(set, CVL_COLD, record.problem, lines, 1), 0);
    }
    assert_int_equal(cvl_line_set_records(set, CVL_HOT, "fwd:f32", lines, 1), 0);
    cvl_line_set_destroy(set);
}

static void environments_are_found_by_id(void **state)
{
    struct cvl_line_set *set = fixture_set();
    struct cvl_environment environment = { .cpu = "a b", .threads = 3 }, found;
    char line[CVL_LINE_MAX];
    assert_false(cvl_line_set_environment(set, 1, &found));
    assert_int_equal(cvl_line_set_add(set, line, cvl_environment_print(&environment, line), NULL), CVL_OK);
    assert_true(cvl_line_set_environment(set, cvl_environment_id(&environment), &found));
    assert_memory_equal(&found, &environment, sizeof found);
    assert_false(cvl_line_set_environment(set, 1, &found));
    cvl_line_set_destroy(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documented_lines_are_what_is_printed), cmocka_unit_test(random_records_come_back),
        cmocka_unit_test(environments_come_back), cmocka_unit_test(only_matched_fields_make_the_id),
        cmocka_unit_test(the_locale_changes_nothing), cmocka_unit_test(what_is_no_line_is_not_printed),
        cmocka_unit_test(every_flipped_bit_is_found), cmocka_unit_test(badly_formed_lines_say_why),
        cmocka_unit_test(random_bytes_harm_nobody), cmocka_unit_test(greater_rank_wins),
        cmocka_unit_test(merge_obeys_its_laws), cmocka_unit_test(files_merge_the_same_in_any_order),
        cmocka_unit_test(records_are_found_by_problem), cmocka_unit_test(environments_are_found_by_id),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
